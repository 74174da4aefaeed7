"""The database as a file, before SQLite opens it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from journal.storage import descriptors, log_locks
from journal.storage.descriptors import LOCK


def create(database: Path) -> None:
    """Make an empty file that only this user can read; one that is there is left as it is.

    Raises:
        OSError: It cannot be made, or written.
    """
    with LOCK:
        try:
            os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            check_writable(database)


def check_writable(database: Path) -> None:
    """Refuse a file that this user cannot write, which SQLite would open to read it only.

    Raises:
        OSError: It cannot be written, or is not there.
    """
    if not os.access(database, os.W_OK):
        why = errno.EROFS if _is_read_only(database) else errno.EACCES
        raise OSError(why, os.strerror(why))


def first_bytes(database: Path, count: int) -> bytes | None:
    """Return the first bytes of a file, or None where a connection of ours is open on it: it was looked at then.

    Raises:
        OSError: It cannot be read.
    """
    if log_locks.is_open(database):
        return None
    with descriptors.reading(database) as number:
        return descriptors.read_at(number, count, 0)


def _is_read_only(path: Path) -> bool:
    """Return whether the file system is mounted so that nobody may write."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
