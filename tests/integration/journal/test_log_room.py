"""Room in the write-ahead log: events overwrite it, a crash passes over it, and nothing of it is ever seen."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.disks import small_disk
from support.journals import Bench, bench, python, rows

from journal.storage import inodes
from journal.storage.log_room import ROOM_BYTES, lengthen, locked, make_room

BEGUN = 5_000
"""More than a log has that was just begun anew: one page."""


def log_bytes(at: Bench) -> int:
    return at.journal.wal_bytes()


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def test_events_do_not_lengthen_the_log(at: Bench) -> None:
    room = log_bytes(at)
    assert room > ROOM_BYTES // 2
    for number in range(200):
        at.event(payload={"metrics": {f"m{i}": i / 7 for i in range(12)}}, key=str(number))
    assert log_bytes(at) == room


def test_no_event_asks_for_the_times_of_the_log(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change after such a question would have the inode written anew; see `inodes.py`."""
    if inodes._way() is inodes._by_stat:
        pytest.skip("this system has no way to leave them out")
    at.event()
    asked: list[str] = []

    def stat(path: Any, **options: Any) -> os.stat_result:
        asked.append(os.fsdecode(path) if not isinstance(path, int) else "")
        return ask(path, **options)

    ask = os.stat
    monkeypatch.setattr(os, "stat", stat)
    at.event()
    monkeypatch.undo()
    assert asked  # the database's, which an event does not change
    assert not [path for path in asked if path.endswith("-wal")]


def test_room_is_made_again_after_the_log_was_folded(at: Bench) -> None:
    at.event()
    assert at.outbox.fold_wal()
    assert log_bytes(at) < BEGUN
    at.writer.heartbeat(at.session_id)
    assert log_bytes(at) > ROOM_BYTES // 2


def test_room_that_is_there_is_left_alone(at: Bench) -> None:
    before = log_bytes(at)
    at.writer.heartbeat(at.session_id)
    assert log_bytes(at) == before


def test_nothing_of_it_is_in_the_database(at: Bench) -> None:
    at.event()
    assert at.outbox.fold_wal()
    assert rows(at.journal.path, "SELECT name FROM sqlite_master WHERE name = 'room'") == []
    assert rows(at.journal.path, "PRAGMA integrity_check") == [("ok",)]
    assert at.journal.database.stat().st_size < ROOM_BYTES // 2


def test_a_killed_writer_leaves_its_events_and_no_room(folder: Path) -> None:
    code = """if True:
        import os, signal, sys, journal
        writer = journal.open(sys.argv[1]).writer()
        run = writer.start_run(project=None, name="killed", save_dir="/")
        session = writer.start_session(run.id)
        for number in range(50):
            writer.append(run.id, session, "epoch_end", {"epoch": number}, str(number))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = python(code, folder)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (folder / "journal.db-wal").stat().st_size > ROOM_BYTES // 2
    with bench(folder) as after:
        keys = rows(after.journal.path, "SELECT key FROM events ORDER BY id")
    assert keys == [(str(number),) for number in range(50)]


def test_a_nearly_full_disk_is_not_filled(at: Bench) -> None:
    at.outbox.fold_wal()
    connection = connect(at.journal.database)
    make_room(connection, at.journal.database, spare_bytes=shutil.disk_usage(at.journal.path).total + 1)
    assert log_bytes(at) < BEGUN
    make_room(connection, at.journal.database)
    assert log_bytes(at) > ROOM_BYTES // 2
    connection.close()


def test_a_disk_that_fills_up_meanwhile_keeps_its_journal(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk, bench(disk / "journal") as at:
        connection = connect(at.journal.database)
        make_room(connection, at.journal.database, spare_bytes=0)
        assert not connection.in_transaction
        connection.close()
        at.event(key="after")
        assert rows(at.journal.path, "SELECT key FROM events") == [("after",)]


def test_a_locked_journal_gets_no_room_and_no_error(at: Bench) -> None:
    at.outbox.fold_wal()
    holder, other = connect(at.journal.database), connect(at.journal.database)
    other.execute("PRAGMA busy_timeout=0")
    holder.execute("BEGIN IMMEDIATE")
    make_room(other, at.journal.database)
    holder.execute("ROLLBACK")
    assert log_bytes(at) < BEGUN
    holder.close()
    other.close()


def test_a_journal_without_a_log_gets_none(folder: Path) -> None:
    folder.mkdir()
    connection = connect(folder / "journal.db")
    make_room(connection, folder / "journal.db")
    connection.close()
    assert not (folder / "journal.db-wal").exists()


def test_it_is_made_in_pieces_between_which_events_go_on(at: Bench) -> None:
    """Each is at the end of the log as it is then: zeros over an event would be its loss."""
    at.outbox.fold_wal()
    connection = connect(at.journal.database)
    pieces = 0

    @contextmanager
    def piece() -> Iterator[None]:
        nonlocal pieces
        at.event(payload={"filling": "x" * 20_000}, key=str(pieces))
        with locked(connection):
            yield
        pieces += 1

    lengthen(piece, at.journal.database)
    connection.close()
    assert pieces >= 16
    assert rows(at.journal.path, "SELECT count(*) FROM events") == [(pieces,)]
    at.writer.close()
    at.outbox.close()
    assert rows(at.journal.path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(at.journal.path, "SELECT count(*) FROM events") == [(pieces,)]


def test_it_ends_when_its_time_is_over(at: Bench) -> None:
    at.outbox.fold_wal()
    lengthen(lambda: locked(connect(at.journal.database)), at.journal.database, seconds=0)
    assert log_bytes(at) < BEGUN
