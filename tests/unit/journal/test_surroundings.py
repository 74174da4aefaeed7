"""Which machine this is and what a folder's files outlast, from facts of machines that cannot be had here."""

from __future__ import annotations

from pathlib import Path

import pytest

from journal.surroundings.machines import COLAB, LENT, Outlasts
from journal.surroundings.mounts import Mount, Nature, mount_of, parse_mounts, read_mounts
from journal.surroundings.place import Facts, Place, Surroundings
from uploader.platforms.hub import COLAB_VARIABLES

DISK = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
LAYERS = "900 800 0:300 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w"
DRIVE = "950 900 0:44 / /content/drive rw,nosuid,nodev,relatime - fuse.drive drive rw,user_id=0,group_id=0,allow_other"
HOMES = "40 22 0:50 / /home rw,relatime shared:3 - nfs4 filer:/export/home rw,vers=4.2,addr=10.0.0.1"
MEMORY = "41 22 0:51 / /dev/shm rw - tmpfs tmpfs rw"


def here(
    *table: str, env: dict[str, str] | None = None, existing: tuple[str, ...] = (), home: str = ""
) -> Surroundings:
    mounts = tuple(parse_mounts("\n".join(table).encode()))
    return Surroundings(Facts(env or {}, mounts, frozenset(existing), "/tmp", home))


def place(folder: str, *table: str, env: str = "", existing: tuple[str, ...] = ()) -> Place:
    return here(*table, env=dict([env.partition("=")[::2]]) if env else {}, existing=existing).place(Path(folder))


def test_a_table_of_mounts_is_read_as_the_kernel_writes_it() -> None:
    line = (
        rb"36 35 98:0 /part\040one /mnt/a\040b\011c rw,noatime master:1 propagate_from:2 - ext3 /dev/root ro,errors=x"
    )
    (mount,) = parse_mounts(b"nonsense\n\n1 2 3 - x\n" + line)
    assert mount == Mount(Path("/mnt/a b\tc"), "ext3", "/dev/root", "/part one", is_read_only=True)


def test_names_that_are_no_text_are_kept() -> None:
    (mount,) = parse_mounts(b"36 35 98:0 / /mnt/\xff rw - ext4 /dev/x rw")
    assert bytes(mount.point) == b"/mnt/\xff"


def test_the_innermost_and_last_mount_holds_a_folder() -> None:
    mounts = [Mount(Path(point), kind) for point, kind in (("/a/b", "1"), ("/", "2"), ("/a", "3"), ("/a", "4"))]
    found = [mount_of(Path(folder), mounts) for folder in ("/a/b", "/a/b/c", "/a/bc", "/x")]
    assert [mount.kind for mount in found if mount] == ["1", "1", "4", "2"]
    assert mount_of(Path("/x"), mounts[:1]) is None


@pytest.mark.parametrize(
    ("kind", "source", "nature"),
    [
        ("ext4", "/dev/vda", Nature.DISK),
        ("fuseblk", "/dev/sdb1", Nature.DISK),
        ("tmpfs", "tmpfs", Nature.MEMORY),
        ("nfs4", "filer:/home", Nature.NETWORK),
        ("lustre", "10.0.0.1@tcp:/scratch", Nature.NETWORK),
        ("fuse.sshfs", "me@there:", Nature.NETWORK),
        ("fuse.cephfs", "ceph", Nature.NETWORK),
        ("fuse", "mountpoint-s3", Nature.OBJECTS),
        ("fuse.gcsfuse", "bucket", Nature.OBJECTS),
        ("fuse.drive", "drive", Nature.DRIVE),
        ("fuse.gocryptfs", "/home/me/.secret", Nature.USER_SPACE),
        ("9p", "C:", Nature.HOST),
        ("overlay", "overlay", Nature.LAYER),
        ("fuse.fuse-overlayfs", "fuse-overlayfs", Nature.LAYER),
    ],
)
def test_a_file_system_is_known_by_its_type(kind: str, source: str, nature: Nature) -> None:
    mount = Mount(Path("/mnt"), kind, source)
    remote = {Nature.NETWORK, Nature.DRIVE, Nature.OBJECTS, Nature.HOST, Nature.USER_SPACE}
    assert (mount.nature, mount.is_remote) == (nature, nature in remote)


def test_a_sandboxs_own_disk_is_no_folder_of_its_host() -> None:
    assert Mount(Path("/"), "9p", "none").nature is Nature.DISK


@pytest.mark.parametrize(
    ("env", "existing", "name"),
    [
        ("KAGGLE_KERNEL_RUN_TYPE=Interactive", ("/kaggle/working",), "kaggle"),
        ("COLAB_RELEASE_TAG=release-colab_20261101", (), "colab"),
        ("TRAINING_JOB_ARN=arn:aws:sagemaker:eu-west-1:1:training-job/x", (), "sagemaker-job"),
        ("", ("/opt/ml/metadata/resource-metadata.json",), "sagemaker-notebook"),
        ("PAPERSPACE_NOTEBOOK_REPO_ID=r1", (), "paperspace"),
        ("SLURM_JOB_ID=7", (), "slurm"),
        ("GITHUB_ACTIONS=true", (), "ci"),
        ("", (), "container"),
    ],
)
def test_a_machine_is_recognised_in_its_container(env: str, existing: tuple[str, ...], name: str) -> None:
    found = here(LAYERS, env=dict([env.partition("=")[::2]]) if env else {}, existing=(*existing, "/.dockerenv"))
    assert found.machine.name == name
    assert found.signs or name == "container"


def test_a_colab_session_is_one_to_hub_too() -> None:
    assert COLAB.signs == COLAB_VARIABLES


def test_kaggles_images_are_made_from_colabs() -> None:
    assert here(LAYERS, env={"COLAB_RELEASE_TAG": "x", "KAGGLE_KERNEL_RUN_TYPE": "Batch"}).machine.name == "kaggle"


def test_dockers_mark_alone_makes_no_container() -> None:
    """A virtual machine that was made from an image has it, too, and its disk is a disk."""
    found = here(DISK, existing=("/.dockerenv",))
    assert (found.machine.name, found.place(Path("/home/me")).outlasts) == ("ordinary", Outlasts.SESSION)


@pytest.mark.parametrize(
    ("folder", "table", "env", "existing", "outlasts"),
    [
        ("/home/me/.local/share", (LAYERS, DRIVE), "COLAB_RELEASE_TAG=1", (), Outlasts.PROCESS),
        ("/content/drive/MyDrive/runs", (LAYERS, DRIVE), "COLAB_RELEASE_TAG=1", (), Outlasts.MACHINE),
        ("/content/drive/MyDrive", (LAYERS,), "COLAB_RELEASE_TAG=1", (), Outlasts.PROCESS),
        ("/kaggle/working/journal", (LAYERS,), "KAGGLE_KERNEL_RUN_TYPE=x", (), Outlasts.PROCESS),
        ("/kaggle/temp", (LAYERS,), "KAGGLE_KERNEL_RUN_TYPE=x", (), Outlasts.PROCESS),
        ("/opt/ml/checkpoints/x", (LAYERS,), "SM_TRAINING_ENV={}", ("/opt/ml/checkpoints",), Outlasts.MACHINE),
        ("/opt/ml/checkpoints/x", (LAYERS,), "SM_TRAINING_ENV={}", (), Outlasts.PROCESS),
        ("/opt/ml/model", (LAYERS,), "SM_TRAINING_ENV={}", (), Outlasts.SESSION),
        ("/opt/ml/code", (LAYERS,), "SM_TRAINING_ENV={}", (), Outlasts.PROCESS),
        ("/notebooks/runs", (LAYERS,), "PAPERSPACE_NOTEBOOK_REPO_ID=r", (), Outlasts.MACHINE),
        ("/storage", (LAYERS,), "PAPERSPACE_NOTEBOOK_REPO_ID=r", (), Outlasts.PROCESS),
        ("/home/me", (LAYERS,), "PAPERSPACE_NOTEBOOK_REPO_ID=r", (), Outlasts.PROCESS),
        ("/home/me", (DISK, HOMES), "SLURM_JOB_ID=7", (), Outlasts.MACHINE),
        ("/scratch/me", (DISK, HOMES), "SLURM_JOB_ID=7", (), Outlasts.SESSION),
        ("/tmp/me", (DISK, HOMES), "SLURM_JOB_ID=7", (), Outlasts.PROCESS),
        ("/dev/shm", (DISK, MEMORY), "SLURM_JOB_ID=7", (), Outlasts.PROCESS),
        ("/builds/x", (DISK,), "GITLAB_CI=true", (), Outlasts.PROCESS),
        ("/home/me", (LAYERS,), "", (), Outlasts.PROCESS),
        ("/data/x", (LAYERS, DISK.replace("/ / rw", "/srv /data rw")), "", (), Outlasts.SESSION),
        ("/tmp/x", (DISK,), "", (), Outlasts.PROCESS),
        ("/dev/shm/x", (DISK, MEMORY), "", (), Outlasts.PROCESS),
        ("/home/me", (DISK, HOMES), "", (), Outlasts.MACHINE),
        ("/home/me", (DISK,), "", (), Outlasts.SESSION),
        ("/home/me", (), "", (), Outlasts.SESSION),
    ],
)
def test_what_a_folder_outlasts(
    folder: str, table: tuple[str, ...], env: str, existing: tuple[str, ...], outlasts: Outlasts
) -> None:
    assert place(folder, *table, env=env, existing=existing).outlasts is outlasts


def test_the_folder_that_a_job_is_given_is_deleted_with_it_wherever_it_is() -> None:
    cluster = here(DISK, HOMES, env={"SLURM_JOB_ID": "7", "TMPDIR": "/home/scratch/7"})
    found = cluster.place(Path("/home/scratch/7/journal"))
    assert found.outlasts is Outlasts.PROCESS
    assert "TMPDIR" in found.why


def test_a_pods_empty_folder_goes_with_it() -> None:
    root = "/var/lib/kubelet/pods/1c/volumes/kubernetes.io~empty-dir/scratch"
    assert place("/scratch", LAYERS, DISK.replace("/ / rw", f"{root} /scratch rw")).outlasts is Outlasts.PROCESS


def test_a_disk_that_cannot_be_written_is_told_and_offered_to_nobody() -> None:
    read_only = HOMES.replace(" rw,relatime", " ro,relatime")
    assert place("/home/me", DISK, read_only).is_read_only
    assert here(DISK, read_only, home="/home/me").known() == []


def test_places_that_outlast_most_come_first_and_a_mount_that_lags_takes_no_database() -> None:
    found = here(LAYERS, DRIVE, env={"COLAB_RELEASE_TAG": "1"}, home="/home/me").known()
    assert [(str(one.folder), one.suits_journal) for one in found] == [
        ("/content/drive/MyDrive", False),
        ("/home/me", True),
    ]
    job = here(LAYERS, env={"SM_TRAINING_ENV": "{}"}, existing=("/opt/ml/checkpoints", "/opt/ml/model")).known()
    assert [one.suits_journal for one in job] == [False, False]


@pytest.mark.parametrize("machine", LENT, ids=lambda machine: machine.name)
def test_each_machine_names_its_source(machine: type[COLAB]) -> None:
    assert machine.source.startswith("https://")
    assert machine.is_lent


def test_mounts_that_cannot_be_looked_up_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("journal.surroundings.mounts._TABLE", tmp_path / "missing")
    assert read_mounts() == ()
    monkeypatch.undo()
    assert mount_of(Path("/"), read_mounts()) is not None


def test_other_systems_are_asked_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil  # noqa: F401 - while the system has its own name

    ours = mount_of(Path("/"), read_mounts())
    monkeypatch.setattr("sys.platform", "darwin")
    theirs = mount_of(Path("/"), read_mounts())
    assert ours is not None
    assert theirs is not None
    assert (theirs.kind, theirs.nature) == (ours.kind, ours.nature)


def test_a_macs_cloud_sends_later(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/Users/me/Library/CloudStorage/GoogleDrive-me/My Drive")
    assert not here().place(folder).sends_later
    monkeypatch.setattr("sys.platform", "darwin")
    assert here().place(folder).sends_later
    assert not here().place(Path("/Users/me/mirror")).sends_later


def test_what_is_kept_only_when_it_is_saved_or_sent_is_not_kept_at_once() -> None:
    later = [
        place("/content/drive/MyDrive", LAYERS, DRIVE),
        place("/kaggle/working/mirror", LAYERS, env="KAGGLE_KERNEL_RUN_TYPE=Batch"),
        place("/opt/ml/checkpoints", LAYERS, env="SM_TRAINING_ENV={}", existing=("/opt/ml/checkpoints",)),
    ]
    assert [one.sends_later for one in later] == [True] * 3
    assert not place("/home/me", DISK, HOMES).sends_later
