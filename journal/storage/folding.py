"""Folding the write-ahead log back into the database (SQLite's checkpoint), without making writers wait.

Most of the log is copied by a `PASSIVE` checkpoint, during which others go on writing; only what was added meanwhile is
left to a `TRUNCATE`, which holds the write lock. Nothing here waits for readers: if one is in the way, the caller tries
again later.

SQLite up to 3.51.2 can lose commits when a checkpoint begins on a log that was copied completely, while another
connection begins that log anew. So one process folds at a time, the log is never complete when a `PASSIVE` begins
(a commit of our own sees to that, and nobody else copies), and nobody writes while a `TRUNCATE` is at work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from journal.storage.connections import CountedConnection
from journal.storage.database import committing
from journal.storage.write_lock import WriteLock

FOLDED_AT_BYTES = 16 << 20
"""The log is folded back when it has reached this size."""
_FEW_PAGES = 64
"""At most so many pages are copied while writers wait."""
_ROUNDS = 5
"""How often the log is copied until few pages are left; a faster writer keeps the log from being truncated."""
_PATIENCE = 0.25
"""Seconds to wait for a writer; writers do not wait for us."""


def fold_wal(connection: CountedConnection) -> bool:
    """Copy the log into the database and truncate it; return False if a reader or writer was in the way."""
    if not connection.log_bytes():
        return True
    try:
        # No commit of ours is flushed while writers wait; the log itself is, before it is copied.
        with _alone(connection), _unwaiting(connection), committing(connection, "process"):
            return _copy(connection) and _cut(connection)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise


@contextmanager
def _alone(connection: CountedConnection) -> Iterator[None]:
    """Keep every other process of this software from folding."""
    write_lock = WriteLock(connection.database.parent / "blobs", 0)
    try:
        write_lock.acquire()
        yield
    finally:
        write_lock.close()


@contextmanager
def _unwaiting(connection: CountedConnection) -> Iterator[None]:
    usual = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute("PRAGMA busy_timeout=0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout={usual}")


def _copy(connection: CountedConnection) -> bool:
    """Copy the log until few pages are left; return False if a reader needs some of them."""
    known = 0
    for _ in range(_ROUNDS):
        _lengthen(connection)
        busy, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy or copied < pages:
            return False
        if pages - known <= _FEW_PAGES:
            return True
        known = pages
    return False


def _lengthen(connection: CountedConnection) -> None:
    """Commit a change without effect, so that the log is not completely copied."""
    connection.begin(_PATIENCE)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version={version}")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _cut(connection: CountedConnection) -> bool:
    with connection.exclusively(_PATIENCE):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            connection.begin_log()
    return not busy
