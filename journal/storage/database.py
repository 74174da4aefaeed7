"""Opening a journal's database: checks before it is touched, pragmas, permissions.

Why these pragmas (https://sqlite.org/wal.html, https://sqlite.org/pragma.html):

* WAL with `synchronous=FULL` keeps every commit through a power cut; `NORMAL` keeps it through a killed process, and
  with a flush of the log after it through a power cut, too. Unlike FULL, that flush holds nobody else up.
* No connection auto-checkpoints, because SQLite up to 3.51.2 can corrupt a file when a checkpoint starts right after
  another finished while a third connection commits. `folding.py` is the one place that folds the WAL back. The
  checkpoint that SQLite makes on the last close holds the file exclusively; where this process knows that others are
  there, it is switched off too where Python can (3.12+).
* Write transactions begin IMMEDIATE: a deferred one that reads first fails with "locked" whatever the time-out.
* `mmap_size=0`: an I/O error on a mapped page would be a signal that kills the training.
"""

from __future__ import annotations

import mmap
import sqlite3
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, NullPool, create_engine, event

from journal.disk import give_to_owner_of, why_full
from journal.errors import (
    CorruptJournal,
    JournalError,
    JournalUnwritable,
    NewerJournal,
    from_os,
    from_sqlite,
    no_shared_memory,
)
from journal.storage import connections, database_file
from journal.storage.log_flush import log_of
from journal.surroundings.mounts import mount_of, read_mounts

Durability = Literal["strict", "full", "process"]
"""What commits survive: a power cut (`strict`, `full`) or a killed process (`process`). A training's events wait for
their flush as long as it takes with `strict`, and a few milliseconds at most with `full`."""

APPLICATION_ID = 0x55504C4A  # "UPLJ"
BUSY_SECONDS = 5.0
OLDEST_SQLITE = (3, 26, 0)
"""The version of RHEL 8, which many clusters run. It knows no FILTER, RETURNING, nor UPSERT without a target."""
_SYNCHRONOUS: dict[str, str] = {"strict": "FULL", "full": "FULL", "process": "NORMAL"}
# schema cookie, user_version and application_id: https://sqlite.org/fileformat2.html#database_header
_HEADER = struct.Struct(">40xI16xI4xI")


def check_sqlite() -> None:
    """Refuse an SQLite that is too old for our SQL, before it fails with `near "AS": syntax error`.

    Raises:
        JournalUnwritable: It is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(str(part) for part in OLDEST_SQLITE[:2])
        raise JournalUnwritable(
            f"a journal cannot be written with SQLite {sqlite3.sqlite_version}, which this Python is linked with; "
            f"{needed} or later is needed. Use another Python, or put a later libsqlite3 on LD_LIBRARY_PATH"
        )


def make_folder(folder: Path) -> None:
    """Create the journal's folder, its blob folder and an empty database file that only this user can read.

    Raises:
        JournalUnwritable: The folder cannot be made or written.
        DiskFull: No space for it.
    """
    database = folder / "journal.db"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "blobs").mkdir(mode=0o700, exist_ok=True)
        database_file.create(database)
        for made in (folder / "blobs", database):
            give_to_owner_of(made, folder)
    except OSError as error:
        raise from_os(error, database) from error


def check_header(database: Path, newest_version: int) -> None:
    """Refuse a file that is no journal of ours, without opening it as a database and so without changing it.

    A file that this process has open was checked when it was opened.

    Raises:
        CorruptJournal: It is no SQLite file.
        NewerJournal: A later version of this software wrote it.
        JournalError: It is some other application's database.
    """
    try:
        header = database_file.first_bytes(database, 100)
    except OSError as error:
        raise from_os(error, database, "read") from error
    if header is None:
        return
    if not header:
        check_log(database)
        return
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise from_sqlite(sqlite3.DatabaseError("file is not a database"), database)
    schema_changes, version, application = _HEADER.unpack_from(header)
    # Neither id nor tables: the journal's creation was interrupted, or is under way in another process.
    if application != APPLICATION_ID and (application or schema_changes):
        raise foreign(database)
    check_version(version, newest_version, database)


def check_log(database: Path) -> None:
    """Refuse a log whose database is empty: SQLite would delete the log, and all that is in it.

    Raises:
        CorruptJournal: The database was removed or replaced.
    """
    log = log_of(database)
    # The log first: a journal that another process makes at this moment has its database before it has a log.
    if log.exists() and log.stat().st_size and not database.stat().st_size:
        raise CorruptJournal(
            f"{database} is missing or empty, though its write-ahead log is not: it was removed or replaced. "
            "Put it back, or move the log away; opening the journal as it is would delete the log"
        )


def foreign(database: Path) -> JournalError:
    """Return the error for a file that holds somebody else's tables."""
    return JournalError(f"{database} is a database of another application; choose another journal folder")


def check_version(version: int, newest_version: int, database: Path) -> None:
    """Raise `NewerJournal` when the file's schema version is above the newest that is known here."""
    if version > newest_version:
        raise NewerJournal(
            f"{database} has schema version {version}, this version knows up to {newest_version}. "
            "It was left as it is; upgrade offline-uploader to use it"
        )


def leave_log_on_a_network(database: Path) -> None:
    """Have a journal on a network file system that still uses WAL use a rollback journal, unless it is in use.

    An earlier version chose WAL there, and so does a copy of a journal from a local disk. Who has it open holds a lock
    that other machines see, too, so this waits for the next time that nobody has.
    """
    if not _is_on_a_network(database.parent):
        return
    with suppress(sqlite3.Error, OSError):  # whoever opens it next is told
        connection = connections.connect(database, timeout=0, isolation_level=None)
        with closing(connection):
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                connection.execute("PRAGMA journal_mode=TRUNCATE")


def make_engine(database: Path, durability: Durability, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine whose connections are set up as the module says and are never pooled.

    Args:
        database: The file; it exists.
        durability: See `Durability`.
        busy_seconds: How long a write waits for the lock.
    """

    def connect() -> sqlite3.Connection:
        return _connect(database, durability, busy_seconds)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", connections.begin)
    return engine


@contextmanager
def committing(connection: sqlite3.Connection, durability: Durability) -> Iterator[None]:
    """Commit with this durability in the block, whatever the journal's is; not to be used inside a transaction."""
    usual = connection.execute("PRAGMA synchronous").fetchone()[0]
    connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA synchronous={usual}")


def _connect(database: Path, durability: Durability, busy_seconds: float) -> sqlite3.Connection:
    # isolation_level=None leaves transactions to us; one owner at a time is kept by locks, not by threads.
    try:
        connection = connections.connect(database, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise from_sqlite(error, database) from error
    try:
        _set_pragmas(connection, database, durability, busy_seconds)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_pragmas(
    connection: connections.CountedConnection, database: Path, durability: Durability, busy_seconds: float
) -> None:
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA mmap_size=0")
        connection.execute("PRAGMA foreign_keys=ON")
        flushes = connection.keep_log(_choose_journal_mode(connection, database.parent, busy_seconds), durability)
        connection.execute(f"PRAGMA synchronous={'NORMAL' if flushes else _SYNCHRONOUS[durability]}")
        if sys.platform == "darwin":
            connection.execute("PRAGMA fullfsync=ON")  # there a plain fsync does not reach the disk
    except sqlite3.Error as error:
        # "disk I/O" is all that Python 3.10 tells of it.
        if "disk I/O" in str(error) and not _shares_memory(database.parent) and not why_full(database.parent):
            raise no_shared_memory(error, database) from error
        raise from_sqlite(error, database) from error
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)


def _choose_journal_mode(connection: sqlite3.Connection, folder: Path, busy_seconds: float) -> str:
    """Use WAL where only this machine is and memory is shared, else a rollback journal; return which."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if mode != "wal" and not _is_on_a_network(folder) and _shares_memory(folder):
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode == "wal":
                connection.execute("PRAGMA schema_version").fetchone()  # a reading opens the log and its index
            else:
                mode = connection.execute("PRAGMA journal_mode=TRUNCATE").fetchone()[0]
            return str(mode)
        except sqlite3.OperationalError as error:
            # Another process is changing the mode at this moment; SQLite's own time-out does not cover that.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _is_on_a_network(folder: Path) -> bool:
    """Return whether other machines may open the journal: each of them would map a memory of its own, and see no lock.

    A file can be mapped there all the same. "WAL does not work over a network filesystem": https://sqlite.org/wal.html
    """
    mount = mount_of(folder.resolve(), read_mounts())
    return mount is not None and mount.is_of_others


def _shares_memory(folder: Path) -> bool:
    """Return whether files in this folder can be mapped as shared memory, which the log's index needs.

    SQLite notices only after it has switched the file to WAL, and then nobody can read it any more.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(mmap.PAGESIZE)
            return _can_be_mapped(file.fileno())
    except OSError:
        return True  # not the question here; SQLite will say what is wrong


def _can_be_mapped(descriptor: int) -> bool:
    try:
        mmap.mmap(descriptor, mmap.PAGESIZE).close()
        return True
    except OSError:
        return False
