"""Preallocating the write-ahead log.

A commit that makes the log longer changes the file's length and blocks, so its fsync waits for the file system's own
journal, and that, on ext4, for whatever anybody is writing at the time: a trainer's checkpoint of 100 MB delays an
event by tens of milliseconds. A commit that overwrites existing bytes of the log waits for its own pages only.

The preallocated part is zeros. They are no valid frames, so recovery stops before them, and SQLite overwrites them.
They are written in small pieces, each under the write lock, because a commit could lengthen the log at any other
moment; between the pieces events can be written, and the zeros are synced.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from journal.storage.connections import CountedConnection
from journal.storage.folding import FOLDED_AT_BYTES
from journal.storage.log_flush import log_of

ROOM_BYTES = FOLDED_AT_BYTES
"""What the log holds until it is folded back: about 1,300 events of twelve floats."""
SPARE_BYTES = 8 * ROOM_BYTES
"""A disk with less free space is left to others."""
_PIECE = 256 << 10
_FLUSHED_AT_ONCE = 1 << 20

Locked = Callable[[], AbstractContextManager[object]]
"""Holds the write lock."""


def make_room(connection: sqlite3.Connection, database: Path, spare_bytes: int = SPARE_BYTES) -> None:
    """Make the log longer by a connection that is in autocommit mode, with no transaction open; see `lengthen`."""
    lengthen(lambda: locked(connection), database, spare_bytes)


def lengthen(is_locked: Locked, database: Path, spare_bytes: int = SPARE_BYTES, seconds: float = math.inf) -> None:
    """Make the log longer, up to about `ROOM_BYTES`, when it is shorter than half of that.

    This only saves time, so errors are ignored.

    Args:
        is_locked: Holds the write lock.
        database: The file.
        spare_bytes: How much must be left on the disk.
        seconds: No piece is begun after this time.
    """
    log = log_of(database)
    if ROOM_BYTES - _log_bytes(log) < ROOM_BYTES // 2:
        return
    deadline = time.monotonic() + seconds
    with suppress(OSError, sqlite3.Error), log.open("r+b", buffering=0) as file:  # no lock of SQLite's is on the log
        unflushed = 0
        while time.monotonic() < deadline and (written := _write_piece(is_locked, file.fileno(), log, spare_bytes)):
            unflushed += written
            if unflushed >= _FLUSHED_AT_ONCE:
                os.fsync(file.fileno())
                unflushed = 0


@contextmanager
def locked(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock by a connection in autocommit mode, and write nothing.

    Raises:
        sqlite3.Error: Another process held it for too long.
    """
    if isinstance(connection, CountedConnection):
        connection.begin()
    else:
        connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()


def _write_piece(is_locked: Locked, descriptor: int, log: Path, spare_bytes: int) -> int:
    """Append zeros; return how many, 0 when there is room enough, no space, or no such log any more."""
    if shutil.disk_usage(log.parent).free < spare_bytes:
        return 0
    with is_locked():
        here = os.fstat(descriptor)
        length = min(_PIECE, ROOM_BYTES - here.st_size)
        if length <= 0 or not here.st_nlink:
            return 0
        os.lseek(descriptor, 0, os.SEEK_END)
        return os.write(descriptor, bytes(length))


def _log_bytes(log: Path) -> int:
    """Return the log's length; all there could be when there is no log, as in the rollback-journal mode."""
    try:
        return log.stat().st_size
    except OSError:
        return ROOM_BYTES
