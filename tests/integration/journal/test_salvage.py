"""Salvage: what a session saved and did not live to snapshot is taken in from where the trainer left it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.disks import small_disk
from support.journals import Bench, bench, dead_pid, rows

from journal.checkpoints.blobs import file_stamp
from journal.checkpoints.salvage import RUN_FILE, stamped


@pytest.fixture
def over(folder: Path) -> Iterator[Bench]:
    """A run whose session's process is gone."""
    with bench(folder, pid=dead_pid()) as opened:
        yield opened


def save(at: Bench, epoch: int, *roles: str, content: bytes | None = None, noted: bool = True, **more: Any) -> None:
    """Write the trainer's files and journal the save, as the callbacks do; `noted` as they are."""
    names = {"final": "best"}
    files = []
    for role in roles:
        path = Path(at.run.save_dir) / f"{names.get(role, role)}.pt"
        path.write_bytes(content or f"{role} of epoch {epoch}".encode())
        stamp = stamped(found) if noted and (found := file_stamp(path)) else {}
        files.append({"role": role, "path": str(path), "publish": role != "last", **stamp})
    at.event("model_saved", {"epoch": epoch, "files": files, **more}, str(epoch))


def checkpoints(at: Bench) -> list[tuple[str, str]]:
    """Return role and content of each checkpoint in the journal whose bytes are there."""
    query = "SELECT role, sha256 FROM checkpoints WHERE bytes_are = 'present'"
    return sorted((role, at.journal.blobs.path(sha256).read_text()) for role, sha256 in rows(at.journal.path, query))


def test_a_lost_snapshot_is_taken_in_once(over: Bench) -> None:
    save(over, 0, "last")
    over.checkpoint(b"last of epoch 0", "last")
    save(over, 1, "last", "best")
    assert over.journal.salvage() == 2
    assert checkpoints(over) == [("best", "best of epoch 1"), ("last", "last of epoch 1")]
    (payload,) = rows(over.journal.path, "SELECT payload FROM events WHERE kind = 'checkpoint' AND key = 'best'")[0]
    facts = json.loads(payload)
    assert facts.items() >= {"epoch": 1, "filename": "best.pt", "publish": True, "salvaged": True}.items()
    assert over.journal.salvage() == 0


def test_a_live_session_is_left_to_itself(at: Bench) -> None:
    save(at, 0, "last")
    assert at.journal.salvage() == 0


def test_what_was_snapshotted_is_not_taken_again(over: Bench) -> None:
    save(over, 0, "last")
    over.checkpoint(b"last of epoch 0", "last")
    assert over.journal.salvage() == 0


def test_an_earlier_best_is_not_hidden_by_a_later_save_without_one(over: Bench) -> None:
    save(over, 0, "last", "best")
    save(over, 1, "last")
    assert over.journal.salvage() == 2
    assert checkpoints(over) == [("best", "best of epoch 0"), ("last", "last of epoch 1")]


def test_a_later_session_that_saved_nothing_hides_nothing(over: Bench) -> None:
    save(over, 0, "last")
    over.writer.start_session(over.run.id, dead_pid())
    assert over.journal.salvage() == 1


def test_after_the_final_checkpoint_there_is_nothing_to_salvage(over: Bench) -> None:
    save(over, 0, "last", "best")
    save(over, 0, "final")
    over.checkpoint(b"final", "final")
    assert over.journal.salvage() == 0


def test_a_lost_final_checkpoint_stands_for_all(over: Bench) -> None:
    save(over, 0, "last", "best")
    save(over, 0, "final")
    assert over.journal.salvage() == 1
    assert checkpoints(over) == [("final", "final of epoch 0")]


def test_a_file_that_is_gone_is_no_trouble(over: Bench) -> None:
    save(over, 0, "last", "best")
    (Path(over.run.save_dir) / "last.pt").unlink()
    assert over.journal.salvage() == 1


@pytest.mark.parametrize(("noted", "taken"), [(False, 0), (True, 1)])
def test_a_later_runs_files_are_not_taken_for_an_earlier_ones(over: Bench, noted: bool, taken: int) -> None:
    save(over, 0, "last", noted=noted)
    over.writer.start_run(project=None, name="again", save_dir=over.run.save_dir)
    assert over.journal.salvage() == taken  # what is known to be the very file is nobody else's


@pytest.mark.parametrize("noted", [True, False])
def test_a_file_that_was_written_again_is_not_the_runs(
    over: Bench, caplog: pytest.LogCaptureFixture, noted: bool
) -> None:
    save(over, 0, "last", "best", noted=noted)
    best = Path(over.run.save_dir) / "best.pt"
    shutil.copy2(best, aside := best.with_name("aside"))
    best.write_bytes(b"another's epoch")  # as long as before
    os.utime(best, (time.time() + 1, time.time() + 1))
    assert over.journal.salvage() == 1
    assert checkpoints(over) == [("last", "last of epoch 0")]
    assert (
        f"{best} was not taken in: it was written again since run {over.run.id} saved it; if you have a copy"
        in caplog.text
    )
    shutil.copy2(aside, best)  # as it says
    assert over.journal.salvage() == 1


def test_an_older_file_in_its_place_is_not_the_runs_either(over: Bench) -> None:
    save(over, 0, "last")
    last = Path(over.run.save_dir) / "last.pt"
    last.write_bytes(b"another's epoch")
    os.utime(last, (0, 0))
    assert over.journal.salvage() == 0


@pytest.mark.parametrize(("unit", "taken"), [(100, 1), (1_000_000, 1), (10**9, 1), (2 * 10**9, 1), (60 * 10**9, 0)])
def test_a_disk_may_keep_less_of_a_files_time_than_it_told_at_first(over: Bench, unit: int, taken: int) -> None:
    last = Path(over.run.save_dir) / "last.pt"
    last.write_bytes(b"weights")
    os.utime(last, ns=(0, 1_800_000_003_234_567_891))
    found = file_stamp(last)
    assert found is not None
    over.event("model_saved", {"epoch": 0, "files": [{"role": "last", "path": str(last), **stamped(found)}]}, "0")
    os.utime(last, ns=(0, found[2] - found[2] % unit))
    assert over.journal.salvage() == taken


def test_a_file_that_was_brought_back_with_its_time_is_the_runs(over: Bench) -> None:
    save(over, 0, "last")
    last = Path(over.run.save_dir) / "last.pt"
    shutil.copy2(last, last.with_name("aside"))
    last.unlink()
    shutil.copy2(last.with_name("aside"), last)
    assert over.journal.salvage() == 1


def test_a_full_disk_does_not_stop_a_drain(over: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(over, 0, "last", content=b"x" * 300_000)
    with small_disk(tmp_path / "small") as disk:
        over.journal.blobs.folder = disk
        assert over.journal.salvage() == 0
    assert "last.pt was not taken in" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="reading such a file fails with EIO on Linux")
def test_a_file_that_cannot_be_read_does_not_stop_a_drain(over: Bench, caplog: pytest.LogCaptureFixture) -> None:
    save(over, 0, "last")
    best = Path(over.run.save_dir) / "best.pt"
    best.symlink_to("/proc/self/mem")  # its first page is none: EIO
    found = file_stamp(best)
    assert found is not None
    over.event("model_saved", {"epoch": 0, "files": [{"role": "best", "path": str(best), **stamped(found)}]}, "0")
    assert over.journal.salvage() == 1
    assert "best.pt was not taken in: a checkpoint of the trainer's cannot be read" in caplog.text


def test_a_file_that_cannot_be_looked_for_does_not_stop_a_drain(over: Bench) -> None:
    file = {"role": "best", "path": f"/{'n' * 300}/best.pt", "publish": True}
    over.event("model_saved", {"epoch": 0, "files": [file]}, "0")
    save(over, 1, "last")
    assert over.journal.salvage() == 1


@pytest.mark.parametrize("damaged", ['{"files', "[]", '{"files": 1}', '{"files": [1, "x", {"role": "best"}]}'])
def test_a_damaged_event_does_not_stop_a_drain(over: Bench, damaged: str) -> None:
    save(over, 0, "last")
    over.event("model_saved")
    with closing(sqlite3.connect(over.journal.database)) as database, database:
        database.execute("UPDATE events SET payload = ? WHERE payload = '{}'", [damaged])
    assert over.journal.salvage() == 1


@pytest.mark.parametrize(
    ("said", "taken"), [('{"run": "another"}', 0), ('{"run": "%s"}', 1), ("[]", 1), ("{", 1), ("{}", 1)]
)
def test_a_folder_that_another_journals_run_took_over_is_left_alone(over: Bench, said: str, taken: int) -> None:
    save(over, 0, "last", noted=False)
    Path(over.run.save_dir, RUN_FILE).write_text(said.replace("%s", over.run.id))
    assert over.journal.salvage() == taken
