"""Flushing the write-ahead log: from then on, what was committed before survives a power cut."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def log_of(database: Path) -> Path:
    """Return where a database's write-ahead log is."""
    return database.with_name(f"{database.name}-wal")


def flush_log(database: Path) -> None:
    """Flush the log of a database by its name; SQLite has no lock on that file, and none is taken.

    Where there is no log, everything is in the database itself, which SQLite has flushed.

    Raises:
        OSError: It could not be flushed; what was committed may be lost in a power cut.
    """
    try:
        descriptor = os.open(log_of(database), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def flush(descriptor: int) -> None:
    """Write a file's content to the disk itself.

    Raises:
        OSError: It could not be written.
    """
    if sys.platform == "darwin":  # there fsync leaves it in the disk's cache
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)
