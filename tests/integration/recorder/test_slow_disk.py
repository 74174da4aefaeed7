"""A disk that takes long to flush, hangs, or fails: the training goes on, and what was not flushed is known."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.clocks import Clock
from support.journals import locked, rows, until
from support.slow_disks import SlowDisk

import journal
from journal.storage import flusher
from journal.storage.folding import FOLDED_AT_BYTES
from journal.writing.fallback import FallbackFile
from uploader.__main__ import main
from uploader.recording import session_fallback, session_writer
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.journal_connection import RETRY_SECONDS
from uploader.recording.journal_options import JournalOptions
from uploader.recording.session_writer import SessionWriter, new_run

pytestmark = pytest.mark.usefixtures("fallbacks")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    slow = SlowDisk()
    monkeypatch.setattr(flusher, "background_sync", slow)
    return slow


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(disk: SlowDisk, folder: Path, save_dir: Path, clock: Clock) -> Iterator[SessionWriter]:
    run = new_run("11111111-1111-1111-1111-111111111111", project=None, name="run", save_dir=save_dir)
    writer = SessionWriter(JournalOptions(journal=str(folder), max_wait=0.01), run, clock)
    yield writer
    disk.recover()
    writer.close("exited")


def epochs(folder: Path) -> list[int]:
    return [epoch for (epoch,) in rows(folder, "SELECT json_extract(payload, '$.epoch') FROM events ORDER BY seq")]


def record(session: SessionWriter, *numbers: int) -> None:
    for number in numbers:
        session.event("epoch_end", {"epoch": number}, str(number))


def flushed(folder: Path) -> list[object]:
    return [number for (number,) in rows(folder, "SELECT flushed_seq FROM sessions")]


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_events_do_not_wait_for_a_disk_that_hangs(session: SessionWriter, disk: SlowDisk, folder: Path) -> None:
    record(session, *range(5))
    assert epochs(folder) == [0, 1, 2, 3, 4]  # as a killed process would leave them
    session.maintain(FOLDED_AT_BYTES)
    assert flushed(folder) == [0]
    disk.recover()
    record(session, 5)
    assert session._unflushed.wait(60)
    session.maintain(FOLDED_AT_BYTES)
    assert flushed(folder) == [6]


def test_status_tells_how_much_would_be_lost(session: SessionWriter, disk: SlowDisk, folder: Path) -> None:
    record(session, *range(5))
    session.maintain(FOLDED_AT_BYTES)
    record(session, 5)
    with journal.open(folder) as opened:
        assert [run.unflushed for run in opened.report()] == [5]
    done = CliRunner().invoke(main, ["status", "--journal", str(folder)])
    assert "the disk is slow: 5 events might not survive a power cut yet" in done.output
    disk.recover()
    record(session, 6)
    assert session._unflushed.wait(60)
    session.maintain(FOLDED_AT_BYTES)
    with journal.open(folder) as opened:
        assert [run.unflushed for run in opened.report()] == [0]


def test_a_flush_follows_though_nobody_waits(session: SessionWriter, disk: SlowDisk) -> None:
    record(session, 0)
    disk.wait_for_flushes(1)
    record(session, 1)
    disk.recover()
    (one,) = session._unflushed._flushers
    until(lambda: one.flushed == one.written)


@pytest.mark.parametrize(("kind", "is_waited_for"), [("epoch_end", False), ("training_started", True)])
def test_a_flush_is_waited_for_from_the_begin_of_the_callback_but_that_of_a_milestone(
    session: SessionWriter, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch, kind: str, is_waited_for: bool
) -> None:
    """What precedes a milestone, such as opening the journal, takes longer than the bound."""
    waits, flush = list[float](), session._unflushed.wait
    monkeypatch.setattr(session, "_max_wait", 60.0)
    monkeypatch.setattr(session_writer, "callback_begun_at", lambda: time.monotonic() - 60)
    monkeypatch.setattr(session._unflushed, "wait", lambda seconds: waits.append(seconds) or flush(seconds))
    disk.recover()
    session.event(kind, {"epoch": 0}, "0")
    assert (waits[0] > 0) == is_waited_for


def test_an_event_of_less_durability_waits_for_nothing(session: SessionWriter, disk: SlowDisk) -> None:
    session.event("model_saved", {"epoch": 0}, "0", durability="process")
    assert disk.begun == []


def test_a_checkpoint_replaces_another_only_when_it_is_flushed(
    session: SessionWriter, disk: SlowDisk, folder: Path, save_dir: Path
) -> None:
    weights = save_dir / "last.pt"

    def save(content: bytes) -> None:
        weights.write_bytes(content)
        file = CheckpointFile.of(weights, "last", epoch=0, publish=False, is_best=False)
        assert file is not None
        session.add_checkpoint(file)

    disk.recover()
    save(b"first")
    (first,) = (folder / "blobs").glob("[0-9a-f]*")
    disk.is_fast, count = False, len(disk.begun)
    saving = in_thread(lambda: save(b"second"))
    disk.wait_for_flushes(count + 1)
    record(session, 0)  # and it delays no event meanwhile
    assert rows(folder, "SELECT count(*) FROM events WHERE kind = 'checkpoint'") == [(2,)]
    assert first.exists()
    assert saving.is_alive()
    disk.recover()
    saving.join(60)
    assert not first.exists()


def test_the_end_of_a_training_waits_for_the_disk(session: SessionWriter, disk: SlowDisk, folder: Path) -> None:
    record(session, 0)
    disk.wait_for_flushes(1)
    ending = in_thread(lambda: session.close("complete"))
    ending.join(0.2)
    assert ending.is_alive()
    disk.recover()
    ending.join(60)
    assert not ending.is_alive()
    assert rows(folder, "SELECT outcome, flushed_seq FROM sessions") == [("complete", 1)]


def test_a_person_can_end_that_wait(session: SessionWriter, disk: SlowDisk, folder: Path) -> None:
    record(session, 0)
    ending = in_thread(lambda: session.close("complete"))
    session.hurry()
    ending.join(60)
    assert not ending.is_alive()
    assert rows(folder, "SELECT outcome, flushed_seq FROM sessions") == [("complete", 0)]


def test_what_a_failed_flush_may_have_lost_is_written_elsewhere(
    session: SessionWriter, disk: SlowDisk, folder: Path, fallbacks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(session, 0, 1)
    disk.wait_for_flushes(1)
    disk.end(fails=True)
    record(session, 2)
    (file,) = fallbacks.iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1
    record(session, 3)
    assert len(file.read_text().splitlines()) == 5
    session.close("complete")
    with journal.open(folder) as opened:
        assert opened.fallbacks.ingest() == 1  # the others are there
    assert epochs(folder) == [0, 1, 2, 3]


def test_nothing_is_written_behind_what_could_not_be_flushed(
    session: SessionWriter, disk: SlowDisk, folder: Path, clock: Clock
) -> None:
    reader = sqlite3.connect(folder / "journal.db", isolation_level=None)
    with closing(reader):  # as long as it reads, the log cannot be emptied
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        record(session, 0)
        disk.wait_for_flushes(1)
        disk.end(fails=True)
        record(session, 1)
        clock.now += RETRY_SECONDS
        record(session, 2)
        assert epochs(folder) == [0, 1]
        reader.execute("COMMIT")
    disk.recover()
    clock.now += RETRY_SECONDS
    record(session, 3)
    assert epochs(folder) == [0, 1, 2, 3]


def test_events_do_not_wait_for_a_fallback_file_either(
    session: SessionWriter, disk: SlowDisk, folder: Path, fallbacks: Path
) -> None:
    with locked(folder):
        record(session, 0, 1)
    (file,) = fallbacks.iterdir()
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()[1:]] == ["0", "1"]


def test_what_a_fallback_file_could_not_flush_is_in_the_next_one(
    disk: SlowDisk, fallbacks: Path, tmp_path: Path, save_dir: Path
) -> None:
    run = new_run("33333333-3333-3333-3333-333333333333", project=None, name="run", save_dir=save_dir)
    file = FallbackFile([fallbacks], tmp_path / "journal", run, max_wait=0.01)
    file.append("epoch_end", {"epoch": 0}, "0")
    disk.wait_for_flushes(1)
    disk.end(0, fails=True)
    disk.recover()
    file.append("epoch_end", {"epoch": 1}, "1")
    assert len(file.paths) == 2
    lines = [json.loads(line) for line in file.paths[1].read_text().splitlines()[1:]]
    assert [(line["key"], line["seq"]) for line in lines] == [("0", 1), ("1", 2)]
    file.close()


def test_a_forked_child_leaves_its_parents_events_to_it(session: SessionWriter, disk: SlowDisk, folder: Path) -> None:
    record(session, 0)
    child = os.fork()
    if child == 0:
        disk.recover()
        record(session, 1)
        os._exit(0 if len(session._unflushed) <= 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(session._unflushed) == 1
    assert rows(folder, "SELECT count(*) FROM sessions") == [(2,)]


def test_strict_leaves_the_flush_to_sqlite(disk: SlowDisk, folder: Path, save_dir: Path) -> None:
    run = new_run("22222222-2222-2222-2222-222222222222", project=None, name="run", save_dir=save_dir)
    session = SessionWriter(JournalOptions(journal=str(folder), durability="strict"), run)
    opened = session._connection.get()
    assert opened is not None
    assert opened.writer._raw().execute("PRAGMA synchronous").fetchone() == (2,)
    record(session, 0)
    assert disk.begun == []
    session.close("complete")


def test_a_fallback_file_is_removed_only_when_what_it_held_is_flushed(
    session: SessionWriter, folder: Path, fallbacks: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_fallback, "CATCH_UP_SECONDS", 0.01)
    with locked(folder):
        record(session, 0)
    clock.now += RETRY_SECONDS
    record(session, 1)
    assert epochs(folder) == [0, 1]
    assert len(list(fallbacks.iterdir())) == 1
    with journal.open(folder) as opened:
        assert opened.fallbacks.ingest() == 0
