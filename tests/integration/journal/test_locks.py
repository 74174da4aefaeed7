"""The training's process is not the journal's alone: what else it does with the files costs no event."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from support.journals import Bench, bench, finish, insist, python, rows

import journal
from journal import read_only
from journal.doctor import examine
from journal.errors import JournalUnavailable
from journal.storage import descriptors

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open-file-description locks are Linux's")

LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM events").fetchone()[0])
connection.close()
"""


def events(at: Bench) -> int:
    """Count the events from outside, by a connection that would be the last one if nobody held the log."""
    (printed,) = finish([python(LOOK, at.journal.database)])
    return int(printed)


def copy(at: Bench) -> None:
    shutil.copytree(at.journal.path, at.journal.path.with_name("copy"), dirs_exist_ok=True)


def look(at: Bench) -> None:
    read_only.read_journal(at.journal.path)


def look_over(at: Bench) -> None:
    examine(at.journal.path, fallback_folders=[])


def read_a_copy(at: Bench) -> None:
    with read_only._copied(at.journal.path) as copied:
        copied.report()


@pytest.mark.parametrize("meddle", [copy, look, look_over, read_a_copy])
def test_the_log_stays_whatever_this_process_does_with_the_files(at: Bench, meddle: Callable[[Bench], None]) -> None:
    for number in range(1, 4):
        at.event(key=str(number))
        meddle(at)
        assert events(at) == number
    at.event(key="4")
    at.writer.close()
    assert events(at) == 4


def test_a_connection_of_somebody_elses_keeps_its_locks_too(folder: Path) -> None:
    """As a notebook's cell has one: SQLite takes its locks for those of our connections, too."""
    journal.open(folder).close()
    with closing(sqlite3.connect(folder / "journal.db")) as cell:
        cell.execute("SELECT count(*) FROM runs").fetchall()
        with bench(folder) as at:
            at.event(key="1")
            assert events(at) == 1
        assert is_locked(folder / "journal.db", 0x40000002)
    assert (
        descriptors.file_of(folder / "journal.db") in descriptors._KEPT
    )  # closing it would have cost the cell's locks


def is_locked(path: Path, start: int) -> bool:
    """Ask from another process whether a byte has a lock."""
    code = """
import fcntl, os, struct, sys
asked = struct.pack("@hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, int(sys.argv[2]), 1, 0)
with open(sys.argv[1], "r+b") as file:
    print(struct.unpack_from("@h", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
"""
    (printed,) = finish([python(code, path, start)])
    return printed == "True\n"


def test_the_index_of_the_log_stays_in_use(at: Bench) -> None:
    """Else the next process to open the journal would empty it under this one."""
    copy(at)
    assert is_locked(at.journal.database.with_name("journal.db-shm"), 128)


WRITE = """
import sys, journal
with journal.open(sys.argv[1], busy_seconds=0.2) as opened:
    writer = opened.writer()
    try:
        print(writer.append(sys.argv[2], int(sys.argv[3]), "epoch_end", {}, "from outside"))
    except journal.JournalError as error:
        print(type(error).__name__)
    writer.close()
"""


def test_nobody_writes_in_the_middle_of_a_transaction(at: Bench) -> None:
    place = (at.journal.path, at.run.id, at.session_id)
    insert = (
        "INSERT INTO events (run_id, session_id, kind, key, payload, created_at) VALUES (:run, :at, '', '', '{}', '')"
    )
    with at.journal._transaction() as connection:
        connection.execute(text(insert), {"run": at.run.id, "at": at.session_id})
        copy(at)
        assert finish([python(WRITE, *place)]) == ["JournalBusy\n"]
    assert finish([python(WRITE, *place)]) == ["2\n"]
    assert events(at) == 2
    assert rows(at.journal.path, "PRAGMA integrity_check") == [("ok",)]


def remove(log: Path) -> None:
    log.unlink()


def move(log: Path) -> None:
    log.rename(log.with_name("moved"))


def replace(log: Path) -> None:
    log.rename(log.with_name("moved"))
    log.touch()


@pytest.mark.parametrize("take_away", [remove, move, replace])
def test_a_log_that_is_removed_is_saved(at: Bench, take_away: Callable[[Path], None]) -> None:
    other = at.journal.writer()
    other.append(at.run.id, at.session_id, "epoch_end", {}, "0")
    at.event(key="1")
    take_away(at.journal.database.with_name("journal.db-wal"))
    at.event(key="2")
    other.append(at.run.id, at.session_id, "epoch_end", {}, "3")
    other.close()
    assert rows(at.journal.path, "SELECT key FROM events ORDER BY id") == [("0",), ("1",), ("2",), ("3",)]
    assert events(at) == 4


def test_a_log_that_is_emptied_is_said_and_harms_the_database_no_further(at: Bench) -> None:
    at.event(key="folded")
    assert at.writer.fold_wal()
    at.event(key="in the log")
    os.truncate(at.journal.database.with_name("journal.db-wal"), 0)
    with pytest.raises(JournalUnavailable, match="was emptied"):
        at.event()
    at.outbox.close()
    at.event(key="afterwards")
    assert rows(at.journal.path, "SELECT key FROM events ORDER BY id") == [("folded",), ("afterwards",)]
    assert rows(at.journal.path, "PRAGMA integrity_check") == [("ok",)]


def test_a_drain_whose_log_is_removed_says_so(at: Bench) -> None:
    at.outbox.require_in_place()
    at.journal.database.with_name("journal.db-wal").unlink()
    with pytest.raises(JournalUnavailable, match="its log, was removed"):
        at.outbox.require_in_place()


def test_others_may_do_what_they_may_do_with_a_log(at: Bench) -> None:
    code = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "BEGIN EXCLUSIVE", "COMMIT", "VACUUM"):
    print(connection.execute(statement).fetchall())
connection.backup(sqlite3.connect(sys.argv[1] + ".copy"))
"""
    at.event()
    assert finish([python(code, at.journal.database)]) == ["[(0, 0, 0)]\n[]\n[]\n[]\n"]
    assert events(at) == 1


def test_the_last_to_close_folds_the_log_and_removes_it(folder: Path) -> None:
    with bench(folder) as at:
        at.event()
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "journal.db"]


def test_both_sides_of_a_fork_keep_the_log(folder: Path) -> None:
    code = """
import os, shutil, subprocess, sys, journal
folder = sys.argv[1]
writer = journal.open(folder).writer()
run = writer.start_run(project=None, name="run", save_dir="/x").id
session = writer.start_session(run)
look = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM events').fetchall()"
def go_on(kind):
    writer.append(run, session, kind, {})
    shutil.copytree(folder, f"{folder}-copy-{kind}")
    subprocess.run([sys.executable, "-c", look, f"{folder}/journal.db"], check=True)
    writer.append(run, session, kind, {})
go_on("before")
child = os.fork()
go_on("child" if child == 0 else "parent")
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
go_on("after")
"""
    finish([python(code, folder)])
    kinds = rows(folder, "SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind")
    assert kinds == [("after", 2), ("before", 2), ("child", 2), ("parent", 2)]


def test_a_child_that_closes_what_it_inherited_keeps_its_own_lock(folder: Path) -> None:
    """The numbers of the descriptors that it closed are given out again."""
    code = """
import fcntl, os, struct, subprocess, sys, journal
opened = journal.open(sys.argv[1])
inherited = opened.outbox()
if os.fork() == 0:
    writer = opened.writer()
    writer.find_run(run_id="none")
    inherited.close()
    asked = struct.pack("@hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0x40000002, 1, 0)
    with open(f"{sys.argv[1]}/journal.db", "r+b") as file:
        found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked)
    print(struct.unpack_from("@h", found)[0] != fcntl.F_UNLCK, flush=True)
    os._exit(0)
opened.close()
inherited.close()
os.wait()
"""
    assert finish([python(code, folder)]) == ["True\n"]


def test_the_lock_lasts_while_the_process_forks(at: Bench) -> None:
    """Its connections are closed then; who looks at that moment must not take the log for nobody's."""
    at.outbox.close()
    at.event()
    at.writer._connection.close_for_fork()
    copy(at)
    assert is_locked(at.journal.database, 0x40000002)
    at.event()
    assert events(at) == 2


def test_copies_in_a_loop_beside_two_processes_that_write_cost_nothing(folder: Path) -> None:
    code = """
import sys, journal
sys.path.append("tests")
from support.journals import insist
folder, run, session = sys.argv[1:]
for number in range(25):
    with journal.open(folder) as opened:
        writer = opened.writer()
        insist(writer.append, run, int(session), "epoch_end", {"filling": "x" * 3000}, str(number))
        if number % 5 == 0:
            writer.fold_wal()
        writer.close()
"""
    with bench(folder) as at:
        others = [python(code, folder, at.run.id, at.session_id) for _ in range(2)]
        written = 0
        while any(other.poll() is None for other in others):
            insist(at.event, "console_output", {"filling": "y" * 2000})
            written += 1
            copy(at)
        finish(others)
    found = rows(folder, "SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind")
    assert found == [("console_output", written), ("epoch_end", 50)]
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
