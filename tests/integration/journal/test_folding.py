"""Folding the log: no writer waits for it, and it waits for nobody who reads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.journals import Bench, bench, finish, locked, python, rows

import journal
from journal.storage import folding
from journal.storage.connections import CountedConnection
from journal.storage.write_lock import WriteLock
from uploader.recording.journal_options import JournalOptions
from uploader.recording.session_writer import SessionWriter, new_run

PATIENT = 3600.0
RUN_ID = "11111111-1111-1111-1111-111111111111"


def driver(at: Bench) -> CountedConnection:
    at.event()
    return at.writer._connection.driver()


def test_it_does_not_wait_for_a_reader(folder: Path) -> None:
    """One that did would hold the write lock meanwhile."""
    with bench(folder) as at, closing(sqlite3.connect(folder / "journal.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        at.event()
        with journal.open(folder, busy_seconds=PATIENT) as patient:
            results: list[bool] = []
            thread = threading.Thread(target=lambda: results.append(patient.fold_wal()), daemon=True)
            thread.start()
            thread.join(60)
            assert results == [False]
        reader.rollback()
        assert at.journal.fold_wal()


def test_it_does_not_wait_for_a_writer(folder: Path) -> None:
    with bench(folder) as at, journal.open(folder, busy_seconds=PATIENT) as patient:
        at.event()
        with locked(folder):
            assert not patient.fold_wal()
        with at.journal._transaction():
            assert not patient.fold_wal()
        assert patient.fold_wal()


def test_one_process_folds_at_a_time(at: Bench) -> None:
    at.event()
    other = WriteLock(at.journal.blobs.folder, 0)
    other.acquire()
    assert not at.journal.fold_wal()
    other.close()
    assert at.journal.fold_wal()


def test_a_checkpoint_never_begins_on_a_log_that_was_copied_completely(at: Bench) -> None:
    said: list[str] = []
    connection = driver(at)
    connection.set_trace_callback(said.append)
    for number in range(3 * folding._FEW_PAGES):
        at.event(payload={"filling": "x" * 5000}, key=str(number))
    said.clear()
    assert at.writer.fold_wal()
    told = [line for line in said if line.startswith(("PRAGMA user_version=", "COMMIT", "PRAGMA wal_checkpoint"))]
    copied = ["PRAGMA user_version=", "COMMIT", "PRAGMA wal_checkpoint(PASSIVE)"]
    cut = ["PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA user_version="]  # and the new log is begun
    assert [line.partition("=")[0] for line in told] == [each.rstrip("=") for each in [*copied * 2, *cut]]


def test_the_commit_before_it_makes_the_log_longer(at: Bench) -> None:
    connection = driver(at)
    assert at.writer.fold_wal()
    for pages in (1, 2):
        folding._lengthen(connection)
        # One page more, as each log begins with one that tells what it was begun on.
        assert connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone() in {(0, pages + 1, pages + 1), (0, 1, 1)}


WRITE = """
import sys, journal
with journal.open(sys.argv[1], busy_seconds=0.1) as opened:
    writer = opened.writer()
    try:
        writer.start_session(sys.argv[2])
        print("written")
    except journal.JournalError as error:
        print(type(error).__name__)
    writer.close()
"""


def test_most_of_the_log_is_copied_beside_writers_and_none_writes_while_it_is_cut(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    copy, keep_out = folding._copy, CountedConnection.exclusively

    def write() -> None:
        said.append(*finish([python(WRITE, at.journal.path, at.run.id)]))

    def copy_and_write(connection: CountedConnection) -> bool:
        write()
        return copy(connection)

    @contextmanager
    def keep_out_and_write(connection: CountedConnection, seconds: float) -> Iterator[None]:
        with keep_out(connection, seconds):
            write()
            yield

    monkeypatch.setattr(folding, "_copy", copy_and_write)
    monkeypatch.setattr(CountedConnection, "exclusively", keep_out_and_write)
    at.event()
    assert at.journal.fold_wal()
    assert said == ["written\n", "JournalBusy\n"]


def test_no_event_waits_while_the_recorder_folds(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = SessionWriter(
        JournalOptions(journal=str(folder)), new_run(RUN_ID, project=None, name="run", save_dir=tmp_path)
    )
    copy = folding._copy
    written = threading.Event()

    def copy_and_write(connection: CountedConnection) -> bool:
        def write() -> None:
            session.event("epoch_end", {}, "meanwhile")
            written.set()

        threading.Thread(target=write, daemon=True).start()
        assert written.wait(60)
        return copy(connection)

    monkeypatch.setattr(folding, "_copy", copy_and_write)
    session.event("epoch_end", {}, "before")
    session.maintain(0)
    assert written.is_set()
    session.close("complete")
    assert rows(folder, "SELECT key FROM events ORDER BY id") == [("before",), ("meanwhile",)]
