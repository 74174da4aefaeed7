"""The one line that makes a journal's place safer, for machines that cannot be had here."""

from __future__ import annotations

from pathlib import Path

import pytest

from journal.surroundings.mounts import parse_mounts
from journal.surroundings.place import Facts, Surroundings
from uploader.recording.place_advice import advice, concern

LAYERS = "900 800 0:300 / / rw - overlay overlay rw"
DISK = "22 1 254:0 / / rw - ext4 /dev/vda rw"
DRIVE = "950 900 0:44 / /content/drive rw - fuse.drive drive rw"
HOMES = "40 22 0:50 / /home rw - nfs4 filer:/export/home rw"
JOURNAL = "/home/me/journal"
DRAIN = "use attach(model, drain=True), which delivers meanwhile"


def here(*table: str, home: str = "/home/me", existing: tuple[str, ...] = (), **env: str) -> Surroundings:
    mounts = tuple(parse_mounts("\n".join(table).encode()))
    return Surroundings(Facts(env, mounts, frozenset(existing), "/tmp", home))


def mirrored(folder: str) -> str:
    return f'use attach(model, mirror="{folder}/uploader-mirror")'


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (
            here(LAYERS, DRIVE, COLAB_RELEASE_TAG="1"),
            'use attach(model, mirror="/content/drive/MyDrive/uploader-mirror")',
        ),
        (here(LAYERS, COLAB_RELEASE_TAG="1"), f"mount Drive, and {mirrored('/content/drive/MyDrive')}"),
        (
            here(LAYERS, KAGGLE_KERNEL_RUN_TYPE="Batch"),
            f"{mirrored('/kaggle/working')}, and save a version of the notebook afterwards",
        ),
        (here(LAYERS, existing=("/opt/ml/checkpoints",), SM_TRAINING_ENV="{}"), mirrored("/opt/ml/checkpoints")),
        (
            here(LAYERS, existing=("/opt/ml/model", "/opt/ml/output/data"), SM_TRAINING_ENV="{}"),
            mirrored("/opt/ml/output/data"),
        ),
        (here(LAYERS, existing=("/notebooks",), PAPERSPACE_NOTEBOOK_REPO_ID="r"), mirrored("/notebooks")),
        (here(LAYERS, GITHUB_ACTIONS="true"), DRAIN),
        (here(LAYERS), "a folder that is kept, such as one that is mounted into the container"),
        (here(DISK), None),
    ],
)
def test_a_journal_on_the_machines_own_disk(machine: Surroundings, said: str | None) -> None:
    told = advice(Path(JOURNAL), machine)
    assert told == said if said is None else told is not None and told.endswith(said)


def test_a_job_is_sent_from_its_own_folder_to_the_home_that_nodes_share() -> None:
    cluster = here(DISK, HOMES, home="/home/me", SLURM_JOB_ID="7", TMPDIR="/local/7")
    assert advice(Path("/local/7/journal"), cluster) == mirrored("/home/me")
    assert advice(Path("/home/me/journal"), cluster) is None


def test_a_home_of_the_node_is_better_than_the_jobs_folder_and_no_end() -> None:
    node = here(DISK, home="/home/me", SLURM_JOB_ID="7", TMPDIR="/local/7")
    assert advice(Path("/local/7/journal"), node) == mirrored("/home/me")
    assert advice(Path("/home/me/journal"), node) == DRAIN
    assert concern(Path("/home/me/journal"), node) is None


def test_nothing_else_that_is_kept_is_made_up() -> None:
    assert advice(Path("/tmp/journal"), here(DISK, home="")) == "set UPLOADER_JOURNAL to a folder that is kept"


def test_nobody_is_led_away_from_a_shared_journal() -> None:
    told = advice(Path("/tmp/journal"), here(DISK, home=""), shared="postgresql://lab@db/runs")
    bring = "bring that in by `collect --watch --into postgresql://lab@db/runs`"
    assert told == f"set UPLOADER_JOURNAL to a folder that is kept, and {bring}"


def test_memory_is_left_for_a_disk() -> None:
    machine = here(DISK, "41 22 0:51 / /dev/shm rw - tmpfs tmpfs rw")
    assert "vanishes at a restart" in (concern(Path("/dev/shm/journal"), machine) or "")
    assert advice(Path("/dev/shm/journal"), machine) == "set UPLOADER_JOURNAL=/home/me/uploader-journal"


def test_a_drive_takes_copies_and_no_database() -> None:
    colab = here(LAYERS, DRIVE, COLAB_RELEASE_TAG="1")
    folder = Path("/content/drive/MyDrive/journal")
    assert "no place for a database (Google Drive" in (concern(folder, colab) or "")
    assert (
        advice(folder, colab) == f"keep the journal on the machine's own disk, and {mirrored('/content/drive/MyDrive')}"
    )
    job = here(LAYERS, existing=("/opt/ml/checkpoints",), SM_TRAINING_ENV="{}")
    assert "no place for a database (copied to S3" in (concern(Path("/opt/ml/checkpoints/journal"), job) or "")


def test_a_mirror_that_is_kept_leaves_nothing_to_be_said() -> None:
    colab = here(LAYERS, DRIVE, COLAB_RELEASE_TAG="1")
    for mirror in ("/content/drive/MyDrive/uploader-mirror", "s3://bucket/mirror"):
        assert (concern(Path(JOURNAL), colab, mirror), advice(Path(JOURNAL), colab, mirror)) == (None, None)
    kaggle = here(LAYERS, KAGGLE_KERNEL_RUN_TYPE="Batch")
    assert concern(Path(JOURNAL), kaggle, "/kaggle/working/uploader-mirror") is None


def test_a_mirror_that_vanishes_too_is_said_to() -> None:
    colab = here(LAYERS, COLAB_RELEASE_TAG="1")
    assert (concern(Path(JOURNAL), colab, "/content/mirror") or "").endswith("and so does its mirror /content/mirror")
    assert "mount Drive" in (advice(Path(JOURNAL), colab, "/content/mirror") or "")


def test_a_drain_beside_the_training_leaves_no_concern_and_a_mirror_to_advise() -> None:
    runner, colab = here(LAYERS, GITHUB_ACTIONS="true"), here(LAYERS, DRIVE, COLAB_RELEASE_TAG="1")
    assert concern(Path(JOURNAL), runner) is not None
    assert [concern(Path(JOURNAL), machine, drains=True) for machine in (runner, colab)] == [None, None]
    assert advice(Path(JOURNAL), runner, drains=True) is None
    assert advice(Path(JOURNAL), colab, drains=True) == mirrored("/content/drive/MyDrive")
