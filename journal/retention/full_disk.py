"""Making room on a disk that is full: there not even what would make room can be written down first.

Bytes that have arrived wherever their runs go, and those that nothing refers to, are deleted before their rows say so.
To find them nothing is written: the database is read without the index of its log, which would need space.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from journal.checkpoints.blobs import BlobStore, delete
from journal.disk import why_full
from journal.retention.eviction import bytes_arrived, bytes_unreferenced

ENOUGH = 64 << 20
"""Bytes that are freed at once: enough for a log in which the rest can be written down."""


def make_room(folder: Path) -> set[str]:
    """Delete bytes of a journal that no delivery needs, where its disk is full; return the sha256 of each.

    Their rows are to be marked as soon as the journal can be opened. Where it is in use, or cannot be read so, nothing
    is done.
    """
    if why_full(folder) is None:
        return set()
    blobs = BlobStore(folder / "blobs")
    blobs.clear()
    try:
        engine = create_engine("sqlite://", creator=lambda: _connect(folder / "journal.db"), poolclass=NullPool)
        with engine.connect() as connection:
            found = _needless(connection)
    except (DBAPIError, sqlite3.Error, OSError):  # whoever opens it next says what is wrong
        return set()
    return {sha256 for sha256 in found if (folder / "blobs" / sha256).is_file() and delete(folder / "blobs" / sha256)}


def _needless(connection: Connection) -> set[str]:
    rows = [*bytes_unreferenced(connection, ENOUGH), *bytes_arrived(connection, ENOUGH)]
    return {row.sha256 for row in rows}


def _connect(database: Path) -> sqlite3.Connection:
    """Open without writing: where no other process has it open there is no index, and exclusively none is needed."""
    log = database.with_name(f"{database.name}-wal")
    is_whole = not log.exists() or not log.stat().st_size
    options = "mode=ro&immutable=1" if is_whole else "mode=rw"
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?{options}", uri=True, isolation_level=None, timeout=1)
    connection.execute("PRAGMA query_only=ON")
    if not is_whole and not database.with_name(f"{database.name}-shm").exists():
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    return connection
