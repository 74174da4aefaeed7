"""Reading a database that may be damaged, without changing a byte of it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from journal.errors import JournalUnavailable, from_sqlite
from journal.storage import descriptors

_BLOCK = 4096


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for reading.

    A transaction that a dead process left unfinished has to be rolled back first, which a read-only connection cannot
    do: then a copy is opened.

    Raises:
        JournalError: It cannot be read, e.g. because it is no database any more.
    """
    with tempfile.TemporaryDirectory(prefix="uploader-doctor-") as scratch:
        try:
            connection = _open(f"{database.absolute().as_uri()}?mode=ro")
        except sqlite3.Error as error:
            if not isinstance(from_sqlite(error, database), JournalUnavailable):
                raise from_sqlite(error, database) from error
            connection = open_copy(database, Path(scratch))
        with closing(connection):
            yield connection


def open_copy(database: Path, folder: Path) -> sqlite3.Connection:
    """Copy the database with its logs into a folder and open the copy, as after a restart of the machine.

    Raises:
        JournalError: The copy cannot be opened as a database.
        OSError: There is no space for it.
    """
    copy = copy_database(database, folder)
    try:
        return _open(copy.as_uri())
    except sqlite3.Error as error:
        raise from_sqlite(error, database) from error


def copy_database(database: Path, folder: Path) -> Path:
    """Copy the database, its write-ahead log and its rollback journal; return the copy's path."""
    held = _hold(database)
    try:
        for suffix in ("", "-wal", "-journal"):
            source = database.with_name(database.name + suffix)
            if source.exists():
                _copy_readable(source, folder / source.name)
    finally:
        if held:
            held.close()
    return folder / database.name


def _hold(database: Path) -> sqlite3.Connection | None:
    """Begin reading if another process has the database open, so that its log is not folded back between two copies.

    Return None if no other has it open, or if it is too damaged to be read, and so to be written.
    """
    if not database.with_name(f"{database.name}-shm").exists():
        return None
    try:
        connection = _open(f"{database.absolute().as_uri()}?mode=ro")
    except sqlite3.Error:
        return None
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _open(uri: str) -> sqlite3.Connection:
    """Open, and read the schema, because SQLite does not read the file before it needs to."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _copy_readable(source: Path, target: Path) -> None:
    """Copy block by block; a block that the disk cannot read becomes zeros."""
    with descriptors.reading(source) as reader, target.open("wb") as writer:
        for start in range(0, source.stat().st_size, _BLOCK):
            try:
                block = descriptors.read_at(reader, _BLOCK, start)
            except OSError:
                block = bytes(_BLOCK)
            writer.write(block)
