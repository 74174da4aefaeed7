"""`mirror` and `restore`, as a person uses them, and what `status` says of a mirror."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.journals import Bench, bench
from support.mirrors import export

from journal.mirror.mirroring import Mirroring
from journal.mirror.stores import FolderStore
from uploader.__main__ import main
from uploader.errors import SettingsError
from uploader.live.recording_options import choose_options


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "drive"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A journal with an epoch and its checkpoint."""
    with bench(tmp_path / "machine" / "journal") as made:
        fill(made)
    return tmp_path / "machine" / "journal"


def fill(made: Bench) -> None:
    made.event(payload={"epoch": 0}, key="0")
    made.checkpoint(b"weights")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def as_json(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert told.get("exit_code", 0) == done.exit_code
    return told


@pytest.mark.parametrize("inside", ["", "mirror"])
def test_a_mirror_in_the_journal_itself_is_refused(recorded: Path, inside: str) -> None:
    there = sorted(recorded.rglob("*"))
    done = run("mirror", recorded / inside, "--journal", recorded)
    assert (done.exit_code, "would be lost with it" in done.output) == (2, True)
    assert sorted(recorded.rglob("*")) == there
    with pytest.raises(SettingsError, match="would be lost with it"):
        choose_options(str(recorded), "full", (), None, mirror=str(recorded / inside))


def test_a_journal_is_mirrored_and_restored_on_another_machine(recorded: Path, mirror: Path, tmp_path: Path) -> None:
    done = run("mirror", mirror, "--journal", recorded)
    assert done.exit_code == 0, done.output
    assert f"2 events and 1 checkpoint acknowledged by the mirror {mirror}" in done.output
    again = run("mirror", mirror, "--journal", recorded)
    assert "0 events copied" in again.output
    other = tmp_path / "other"
    restored = run("restore", mirror, "--journal", other)
    assert restored.exit_code == 0
    assert "1 run in the mirror" in restored.output
    assert f"python -m uploader drain --journal {other}" in restored.output
    assert export(other) == export(recorded)
    assert as_json("restore", mirror, "--journal", other)["events"] == 0


def test_the_files_that_a_training_is_resumed_from_are_written(mirror: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "machine" / "journal") as made:
        made.checkpoint(b"last", "last", epoch=3)
        made.checkpoint(b"older", "best", filename="best.pt")
        made.checkpoint(b"final", "final", filename="../../best.pt")
        run("mirror", mirror, "--journal", made.journal.path)
    shutil.rmtree(tmp_path / "machine")
    weights = tmp_path / "runs" / "run" / "weights"
    done = run("restore", mirror, "--journal", tmp_path / "new", "--weights", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    assert f"{weights / 'last.pt'}: run " in done.output
    assert ", saved after epoch 4\n" in done.output
    assert {path.name: path.read_bytes() for path in weights.iterdir()} == {"last.pt": b"last", "best.pt": b"final"}
    (weights / "last.pt").write_bytes(b"of a person")
    told = as_json("restore", mirror, "--journal", tmp_path / "new", "--weights", tmp_path / "runs")
    assert (weights / "last.pt").read_bytes() == b"of a person"
    assert sorted(Path(path).read_bytes() for path in told["weights"]) == [b"final", b"last"]


def test_a_check_reads_everything_back(recorded: Path, mirror: Path) -> None:
    run("mirror", mirror, "--journal", recorded)
    done = run("mirror", "--check", mirror)
    assert done.exit_code == 0
    assert "1 run, 2 events in 1 segment, 1 checkpoint" in done.output
    assert "nothing is wrong" in done.output


def test_a_check_names_what_is_damaged_or_missing(recorded: Path, mirror: Path, tmp_path: Path) -> None:
    run("mirror", mirror, "--journal", recorded)
    (blob,) = (mirror / "blobs").iterdir()
    blob.write_bytes(b"other")
    told = as_json("mirror", "--check", mirror)
    assert (told["exit_code"], len(told["damaged"]), told["missing"]) == (4, 1, [])
    blob.unlink()
    told = as_json("mirror", "--check", mirror)
    assert told["missing"] == [f"checkpoint {blob.name}, which a run needs"]
    (segment,) = mirror.rglob("*.jsonl.gz")
    segment.write_bytes(segment.read_bytes()[:-1])
    assert "damaged: runs/" in run("mirror", "--check", mirror).output
    restored = run("restore", mirror, "--journal", tmp_path / "other")
    assert restored.exit_code == 4
    assert "is damaged" in restored.output


def test_a_check_finds_events_that_are_missing_in_between(mirror: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "machine" / "journal") as made:
        for _ in range(3):
            made.event()
            Mirroring(made.journal, FolderStore(mirror)).step()
    (middle,) = mirror.rglob("2-2-*.gz")
    middle.unlink()
    (missing,) = as_json("mirror", "--check", mirror)["missing"]
    assert missing.startswith("events 2 to 2 of session ")


def test_only_the_run_that_is_named_is_mirrored(recorded: Path, mirror: Path) -> None:
    with bench(recorded) as other:
        other.event()
        told = as_json("mirror", mirror, "--journal", recorded, "--run", other.run.id)
        assert [one["run"] for one in told["runs"]] == [other.run.id]
        assert [path.name for path in (mirror / "runs").iterdir()] == [other.run.id]
    strange = run("mirror", mirror, "--journal", recorded, "--run", "nobody")
    assert (strange.exit_code, "'nobody' fits no run" in strange.output) == (2, True)


def test_status_says_how_far_a_run_is_mirrored(mirror: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "machine" / "journal") as made:
        fill(made)
        run("mirror", mirror, "--journal", made.journal.path)
        mirrored = f"2 events and 1 checkpoint acknowledged by the mirror {mirror}"
        assert f"{mirrored}\n" in run("status", made.journal.path).output
        made.event()
        later = run("status", made.journal.path).output
        assert f"{mirrored}; 1 event not yet, tried 0 s ago" in later
        (state,) = as_json("status", made.journal.path)["runs"][0]["mirrors"]
        assert (state["events"], state["confirms"]) == (2, True)


@pytest.mark.parametrize("command", [("restore",), ("mirror", "--check")])
def test_a_folder_that_is_no_mirror_is_told(command: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*command, tmp_path / "empty")
    assert done.exit_code == 1
    assert "there is no mirror in" in done.output


@pytest.mark.parametrize(("address", "why"), [("ftp://host/x", "begins with s3://"), ("", "it is empty")])
def test_an_address_that_cannot_be_one_is_told(address: str, why: str) -> None:
    done = run("restore", address)
    assert (done.exit_code, why in done.output) == (2, True)


def test_a_mirror_that_cannot_be_written_is_told(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run("mirror", tmp_path / "file" / "below", "--journal", recorded)
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_a_checkpoint_that_neither_has_is_told(recorded: Path, mirror: Path) -> None:
    shutil.rmtree(recorded / "blobs")
    (recorded / "blobs").mkdir()
    done = run("mirror", mirror, "--journal", recorded)
    assert done.exit_code == 4
    assert "; 1 checkpoint of it is lost" in done.output
