"""Making room on a full disk, where not even the eviction itself can be recorded first.

Blobs that were delivered to every destination, or that nothing refers to, are deleted before their rows are updated.
Finding them writes nothing: the database is read without the shared-memory index of its log, which would need space.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from journal.checkpoints.blobs import BlobStore, delete
from journal.disk import why_full
from journal.retention.eviction import bytes_arrived, bytes_unreferenced
from journal.storage.log_flush import log_of

ENOUGH = 64 << 20
"""How many bytes are freed: enough for a log, in which the rest can then be recorded."""


def make_room(folder: Path) -> set[str]:
    """Delete bytes of a journal that no delivery needs, where its disk is full; return the sha256 of each.

    The caller marks their rows as soon as the journal can be opened. A journal that is in use, or that cannot be read
    in this way, is left alone.
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
    """Open without writing: while no other process has it open there is no index, and exclusive locking needs none."""
    log = log_of(database)
    is_whole = not log.exists() or not log.stat().st_size
    options = "mode=ro&immutable=1" if is_whole else "mode=rw"
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?{options}", uri=True, isolation_level=None, timeout=1)
    connection.execute("PRAGMA query_only=ON")
    if not is_whole and not database.with_name(f"{database.name}-shm").exists():
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    return connection
