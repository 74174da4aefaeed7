"""Which database files this process has open.

SQLite's locks are POSIX locks: they belong to the process, and closing any descriptor of a file takes all of them off
it (https://sqlite.org/howtocorrupt.html, section 2.2). Another process would then take the journal for unused, fold its
log and delete it, while this one goes on writing to it. SQLite minds that among its own connections. So a file that a
connection is open on here is opened by nothing else.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

_File = tuple[int, int]  # device and inode
LOCK = threading.RLock()
"""Held while a file is opened or closed, and while this process forks (`forks.py`)."""
_OPEN: Counter[_File] = Counter()


class CountedConnection(sqlite3.Connection):
    """A connection that counts as open until it is closed; one that is never closed counts for ever.

    Attributes:
        file: Device and inode, until it is closed.
    """

    file: _File | None = None

    def close(self) -> None:
        """Close it; doing so again does nothing."""
        with LOCK:
            super().close()
            if self.file is not None:
                _OPEN[self.file] -= 1
                self.file = None

    def count(self, file: _File) -> None:
        """Count it as one that is open on this file."""
        _OPEN[file] += 1
        self.file = file


def connect(database: Path, **options: Any) -> CountedConnection:
    """Connect to a file that exists.

    Args:
        database: The file.
        options: Of `sqlite3.connect`.

    Raises:
        OSError: It is not there.
        sqlite3.Error: It cannot be opened.
    """
    with LOCK:  # nothing is locked before the first statement
        file = _file(database)
        uri = f"{database.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, factory=CountedConnection, **options)
        connection.count(file)
        return connection


def create(database: Path) -> None:
    """Make an empty file that only this user can read; one that is there is left as it is.

    Raises:
        OSError: It cannot be made, or written.
    """
    with LOCK:
        try:
            os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if not os.access(database, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def first_bytes(database: Path, count: int) -> bytes | None:
    """Return the first bytes of a file, or None where a connection of this process is open on it.

    Raises:
        OSError: It cannot be read.
    """
    with LOCK:
        if _OPEN[_file(database)]:
            return None
        with database.open("rb") as file:
            return file.read(count)


def is_severed(database: Path, file: _File | None) -> bool:
    """Return whether the database was removed or replaced: what is written then goes into a file without a name.

    Args:
        database: Where it was opened.
        file: Device and inode that it was opened as.
    """
    try:
        return _file(database) != file
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # nothing can be told now
        return False


def _file(database: Path) -> _File:
    status = database.stat()
    return status.st_dev, status.st_ino
