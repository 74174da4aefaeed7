"""Room in the write-ahead log, made before the events need it.

A commit that makes the log longer changes the file's length and blocks, so its fsync waits for the file system's own
journal, and that, on ext4, for whatever anybody is writing at the time: a trainer's checkpoint of 100 MB holds an event
up for tens of milliseconds. A commit that overwrites what the log already has waits for its own pages only.

The room is made by a large transaction that is rolled back. SQLite spills its pages to the end of the log and later
overwrites them; every rolled-back transaction larger than the page cache leaves such pages behind
(https://sqlite.org/pragma.html#pragma_cache_spill), and recovery passes over them.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

ROOM_BYTES = 16 << 20
"""About 1,300 events of twelve floats."""
SPARE_BYTES = 8 * ROOM_BYTES
"""On a disk with less left the room is worth more to others."""


def make_room(connection: sqlite3.Connection, database: Path, spare_bytes: int = SPARE_BYTES) -> None:
    """Make the log longer, up to about `ROOM_BYTES`, when it is shorter than half of that.

    It only saves time, so where it cannot be done nothing is. The next commit writes the room out.

    Args:
        connection: In autocommit mode, with no transaction open.
        database: Its file.
        spare_bytes: How much must be left on the disk.
    """
    missing = ROOM_BYTES - _log_bytes(database)
    if missing < ROOM_BYTES // 2 or shutil.disk_usage(database.parent).free < spare_bytes:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE room (filling BLOB)")
        connection.execute("INSERT INTO room VALUES (zeroblob(?))", (missing,))
    except sqlite3.Error:
        pass  # locked, or the disk is full after all
    finally:
        connection.rollback()


def _log_bytes(database: Path) -> int:
    """Return the log's length; all there could be when there is no log, as in the rollback-journal mode."""
    try:
        return database.with_name(f"{database.name}-wal").stat().st_size
    except OSError:
        return ROOM_BYTES
