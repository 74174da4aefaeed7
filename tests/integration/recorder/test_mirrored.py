"""A training with a mirror: it pays nothing for it, and another machine continues its run."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import locked, rows, until

from journal.checkpoints.salvage import RUN_FILE
from journal.mirror import mirror_state
from journal.mirror.stores import FolderStore
from uploader.recording import mirror_thread
from uploader.recording.journal_options import JournalOptions
from uploader.recording.mirror_thread import bring_back_run
from uploader.recording.recorder import Recorder

KEYS = """SELECT s.generation, e.key FROM events e JOIN sessions s ON s.id = e.session_id
          WHERE e.kind = 'epoch_end' ORDER BY e.id"""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "drive" / "mirror"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journal.mirror.mirroring.STEP_SECONDS", 0.01)
    monkeypatch.setattr(mirror_thread, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(mirror_thread, "_PAUSE", 0.01)


def record(
    folder: Path, save_dir: Path, mirror: Path, *, checkpoint: Path | None = None, resume: bool = False
) -> Recorder:
    options = JournalOptions(journal=str(folder), mirror=str(mirror))
    return Recorder.start(options, project=None, name="run", save_dir=save_dir, resume=resume, checkpoint=checkpoint)


def epoch(recorder: Recorder, number: int) -> None:
    recorder.event("epoch_end", {"epoch": number}, str(number))


def mirrored(mirror: Path) -> int:
    return sum(1 for _ in mirror.rglob("*.jsonl.gz"))


def test_events_and_checkpoints_are_mirrored_while_the_training_goes_on(
    folder: Path, save_dir: Path, mirror: Path
) -> None:
    recorder = record(folder, save_dir, mirror)
    epoch(recorder, 0)
    until(lambda: mirrored(mirror) == 1)
    (save_dir / "last.pt").write_bytes(b"weights")
    recorder.checkpoint(save_dir / "last.pt", role="last", epoch=0, publish=True, is_best=False)
    until(lambda: mirrored(mirror) == 2 and len(list(mirror.glob("blobs/*"))) == 1)
    epoch(recorder, 1)
    recorder.finish("complete")
    assert recorder.safety == (
        f"run {recorder.run_id} is in its mirror: 3 events and 1 checkpoint acknowledged by the mirror {mirror}"
    )
    (state,) = mirror_state.states(folder)[recorder.run_id]
    assert (state.events, state.checkpoints, state.missing, state.error) == (3, 1, 0, None)


def test_a_new_machine_continues_the_run_that_its_folder_names(folder: Path, save_dir: Path, mirror: Path) -> None:
    first = record(folder, save_dir, mirror)
    epoch(first, 0)
    first.finish("exited")
    shutil.rmtree(folder)
    second = record(folder, save_dir, mirror, resume=True)
    epoch(second, 1)
    second.finish("complete")
    assert (second.run_id, second.session.parent) == (first.run_id, first.session.uuid)
    assert rows(folder, KEYS) == [(1, "0"), (2, "1")]


def test_a_new_machine_continues_the_run_of_a_checkpoint_that_only_the_mirror_knows(
    folder: Path, save_dir: Path, mirror: Path, tmp_path: Path
) -> None:
    first = record(folder, save_dir, mirror)
    epoch(first, 0)
    (save_dir / "last.pt").write_bytes(b"weights")
    first.checkpoint(save_dir / "last.pt", role="last", epoch=0, publish=True, is_best=False)
    first.wait_for_snapshots()
    first.finish("exited")
    kept = tmp_path / "elsewhere.pt"
    shutil.copy(save_dir / "last.pt", kept)
    shutil.rmtree(folder)
    shutil.rmtree(save_dir)
    (tmp_path / "other").mkdir()
    second = record(folder, tmp_path / "other", mirror, checkpoint=kept, resume=True)
    second.finish("complete")
    assert second.run_id == first.run_id
    until(lambda: len(list((folder / "blobs").glob("[0-9a-f]*"))) == 1)


def test_an_older_machine_brings_back_what_was_trained_elsewhere_since(
    folder: Path, save_dir: Path, mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder is on a drive that both machines see; the first one's journal has the run, but not its newest part."""
    first = record(folder, save_dir, mirror)
    epoch(first, 0)
    first.finish("exited")
    second = record(tmp_path / "elsewhere", save_dir, mirror, resume=True)
    epoch(second, 1)
    second.finish("exited")
    third = record(folder, save_dir, mirror, resume=True)
    epoch(third, 2)
    third.finish("complete")
    assert third.session.parent == second.session.uuid
    assert rows(folder, KEYS) == [(1, "0"), (2, "1"), (3, "2")]
    assert "1 events of this run were brought back" in caplog.text


def test_a_resume_on_the_same_machine_reads_no_segment_of_the_mirror(
    folder: Path, save_dir: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it bring back what was evicted here."""
    first = record(folder, save_dir, mirror)
    epoch(first, 0)
    epoch(first, 1)
    first.finish("exited")
    with sqlite3.connect(folder / "journal.db") as connection:
        connection.execute("DELETE FROM events WHERE seq = 1")
    read: list[str] = []
    get = FolderStore.get
    monkeypatch.setattr(FolderStore, "get", lambda self, name: read.append(name) or get(self, name))  # type: ignore[func-returns-value]
    bring_back_run(JournalOptions(journal=str(folder)), str(mirror), save_dir, None)
    assert read == []
    assert rows(folder, KEYS) == [(1, "1")]


@pytest.fixture
def others(save_dir: Path, mirror: Path, tmp_path: Path) -> Iterator[Recorder]:
    """A training that another machine, which has the same name, mirrors to the same place; it goes on."""
    other = record(tmp_path / "theirs", save_dir, mirror)
    epoch(other, 0)
    (save_dir / "theirs.pt").write_bytes(b"theirs")
    other.checkpoint(save_dir / "theirs.pt", role="last", epoch=0, publish=True, is_best=False)
    until(lambda: len(list(mirror.glob("blobs/*"))) == 1)
    (save_dir / RUN_FILE).unlink()
    yield other
    other.finish("exited")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("names", ["a strange checkpoint", "the folder"])
def test_what_nothing_identifies_brings_back_no_run_and_says_so(
    folder: Path, save_dir: Path, mirror: Path, caplog: pytest.LogCaptureFixture, names: str
) -> None:
    strange = save_dir / "strange.pt"
    strange.write_bytes(b"strange")
    checkpoint = strange if names == "a strange checkpoint" else None
    second = record(folder, save_dir, mirror, checkpoint=checkpoint, resume=True)
    epoch(second, 1)
    second.finish("complete")
    assert rows(folder, "SELECT id FROM runs") == [(second.run_id,)]
    assert f"Nothing was brought back from the mirror {mirror}: no run in it is known to be the one" in caplog.text
    assert f"`python -m uploader restore {mirror} --journal {folder}`" in caplog.text


@pytest.mark.usefixtures("others")
def test_only_the_run_that_is_resumed_is_brought_back(
    folder: Path, save_dir: Path, mirror: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    first = record(folder, save_dir, mirror)
    epoch(first, 0)
    (tmp_path / "own.pt").write_bytes(b"own")
    first.checkpoint(tmp_path / "own.pt", role="last", epoch=0, publish=True, is_best=False)
    first.wait_for_snapshots()
    first.finish("exited")
    shutil.rmtree(folder)
    (save_dir / RUN_FILE).unlink()
    second = record(folder, tmp_path / "new", mirror, checkpoint=tmp_path / "own.pt", resume=True)
    second.finish("complete")
    assert (second.run_id, rows(folder, "SELECT id FROM runs")) == (first.run_id, [(first.run_id,)])
    assert "2 events of this run were brought back" in caplog.text


def test_a_mirror_that_fails_is_said_once_and_is_whole_when_it_comes_back(
    folder: Path, save_dir: Path, mirror: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror.parent.write_bytes(b"in the way")
    recorder = record(folder, save_dir, mirror)
    for number in range(3):
        epoch(recorder, number)
        until(lambda: bool(mirror_state.states(folder)) and "cannot be" in str(mirror_state.states(folder)))
    (state,) = mirror_state.states(folder)[recorder.run_id]
    assert state.error
    mirror.parent.unlink()
    until(lambda: mirrored(mirror) > 0)
    recorder.finish("complete")
    assert recorder.safety
    assert "3 events and 0 checkpoints acknowledged" in recorder.safety
    told = [record for record in caplog.records if "is not mirrored for now" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.WARNING]


def test_the_end_says_what_is_not_in_a_mirror_that_fails(folder: Path, save_dir: Path, mirror: Path) -> None:
    mirror.parent.write_bytes(b"in the way")
    recorder = record(folder, save_dir, mirror)
    epoch(recorder, 0)
    recorder.finish("complete")
    assert recorder.safety
    assert recorder.safety.startswith(
        f"run {recorder.run_id} is NOT whole in its mirror (the mirror {mirror} cannot be"
    )
    assert f"`python -m uploader mirror {mirror} --journal {folder}` mirrors the rest" in recorder.safety


def test_the_end_does_not_call_a_run_whole_whose_mirror_has_gone_away(
    folder: Path, save_dir: Path, mirror: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = record(folder, save_dir, mirror)
    epoch(recorder, 0)
    until(lambda: mirrored(mirror) == 1)
    mirror.rename(mirror.with_name("away"))
    mirror.mkdir()
    epoch(recorder, 1)
    until(lambda: "is its drive mounted" in str(mirror_state.states(folder)))
    recorder.finish("complete")
    assert recorder.safety
    assert "NOT whole in its mirror" in recorder.safety
    assert list(mirror.iterdir()) == []
    assert caplog.text.count("is not mirrored for now") == 1


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A mirror whose first object is not answered before the event that is returned is set."""
    is_reached, may_go_on = threading.Event(), threading.Event()
    put = FolderStore.put

    def put_late(self: FolderStore, name: str, content: bytes) -> None:
        is_reached.set()
        may_go_on.wait()
        put(self, name, content)

    monkeypatch.setattr(FolderStore, "put", put_late)
    yield is_reached
    may_go_on.set()


def test_a_mirror_that_hangs_holds_up_neither_an_event_nor_for_long_the_end(
    folder: Path, save_dir: Path, mirror: Path, hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_thread, "CLOSE_SECONDS", 0.05)
    recorder = record(folder, save_dir, mirror)
    assert hanging.wait(60)
    epoch(recorder, 0)
    recorder.event("training_complete", {})
    recorder.finish("complete")
    assert recorder.safety
    assert "NOT whole in its mirror (it took too long)" in recorder.safety
    assert rows(folder, "SELECT count(*) FROM events") == [(2,)]


def test_a_second_interrupt_ends_the_wait_for_the_mirror(
    folder: Path, save_dir: Path, mirror: Path, hanging: threading.Event
) -> None:
    recorder = record(folder, save_dir, mirror)
    assert hanging.wait(60)
    recorder.hurry()
    recorder.finish("exited")
    assert recorder.safety
    assert "NOT whole" in recorder.safety


def test_a_resumed_training_does_not_wait_for_long_for_a_mirror_that_hangs(
    folder: Path, save_dir: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = record(folder, save_dir, mirror)
    epoch(first, 0)
    first.finish("exited")
    shutil.rmtree(folder)
    may_go_on = threading.Event()
    get = FolderStore.get
    monkeypatch.setattr(FolderStore, "get", lambda self, name: may_go_on.wait() and get(self, name))
    monkeypatch.setattr(mirror_thread, "RESTORE_SECONDS", 0.05)
    second = record(folder, save_dir, mirror, resume=True)
    epoch(second, 1)
    assert "is slow" in caplog.text
    may_go_on.set()
    until(lambda: len(rows(folder, KEYS)) == 2)
    second.finish("complete")
    assert second.run_id == first.run_id


def test_an_end_is_not_called_safe_while_events_are_outside_of_the_journal(
    folder: Path, save_dir: Path, mirror: Path, fallbacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.recording.journal_connection.BUSY_SECONDS", 0.05)
    recorder = record(folder, save_dir, mirror)
    with locked(folder):
        epoch(recorder, 0)
    recorder.finish("complete")
    assert recorder.safety
    assert "NOT whole in its mirror (events are in 1 fallback file)" in recorder.safety


def test_an_error_that_nobody_expected_neither_ends_the_mirroring_nor_passes_for_success(
    folder: Path, save_dir: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = FolderStore.put
    monkeypatch.setattr(FolderStore, "put", lambda *_: 1 / 0)
    recorder = record(folder, save_dir, mirror)
    epoch(recorder, 0)
    until(lambda: "ZeroDivisionError" in str(mirror_state.states(folder)))
    monkeypatch.setattr(FolderStore, "put", put)
    until(lambda: mirrored(mirror) == 1)
    monkeypatch.setattr(FolderStore, "put", lambda *_: 1 / 0)
    epoch(recorder, 1)
    recorder.finish("complete")
    assert recorder.safety
    assert "NOT whole in its mirror (ZeroDivisionError)" in recorder.safety
