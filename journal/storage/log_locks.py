"""Locks that keep a journal's log where it is, whatever else this process does with the journal's files.

Whoever opens and closes `journal.db` by hand in this process (a copy of the folder, a header that is looked at) takes
SQLite's locks off it. Another process would then take the journal for unused, fold its log and delete it, while this
one goes on writing to it. A lock by open file description belongs to one descriptor and ends with that alone. So this
process holds, beside SQLite's own locks:

* a read lock on the bytes of `journal.db` that SQLite's readers lock: nobody can delete the log;
* a read lock on the byte of `journal.db-shm` by which SQLite knows that the log's index is in use: nobody empties it.

Both are compatible with everything that is done with a journal in WAL mode, also by others: reading, writing, folding,
`VACUUM`, backups. They refuse what would end WAL mode. In a rollback journal they would lock every writer out, so there
they are not taken; nor on macOS, which does not have them (or not from Python).
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

from journal.storage import descriptors, log_base
from journal.storage.descriptors import LOCK, File

_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510  # https://sqlite.org/src/file/src/os.h
_INDEX_IN_USE = 128  # https://sqlite.org/walformat.html, "WAL locks"


class LogLocks:
    """What one process holds on a database as long as it has connections to it.

    Attributes:
        connections: How many there are.
    """

    def __init__(self, database: Path) -> None:
        """Open the database; nothing is locked yet.

        Raises:
            OSError: It cannot be opened.
        """
        self.connections = 0
        self.file, self._number = descriptors.hold(database)
        self._index: tuple[File, int] | None = None
        self._is_locked = False
        self._newest = 0  # no longer than the descriptor is open: another file may have the inode then

    def is_overwritten(self, database: Path) -> bool:
        """Return whether the database is older than its log, or than this process has seen it; see `log_base`."""
        if log_base.is_overwritten(database):
            return True
        with suppress(OSError):
            number, known = log_base.number(database), self._newest
            self._newest = max(number, known)
            return number < known
        return False

    def lock(self, database: Path) -> None:
        """Keep the log; to be called with a connection that is in WAL mode and has read."""
        if self._is_locked:
            return
        with suppress(OSError, AttributeError, ImportError):
            _set(self._number, _SHARED_FIRST, _SHARED_SIZE, is_locked=True)
            self._is_locked = True
            # Not before SQLite has it: it tells by this lock whether the index is one that a power cut left.
            self._index = descriptors.hold(database.with_name(f"{database.name}-shm"))
            _set(self._index[1], _INDEX_IN_USE, 1, is_locked=True)

    def unlock(self) -> None:
        """Let the log go; closing the descriptors would take SQLite's locks with them."""
        with suppress(OSError, AttributeError, ImportError):
            if self._is_locked:
                _set(self._number, _SHARED_FIRST, _SHARED_SIZE, is_locked=False)
            if self._index is not None:
                _set(self._index[1], _INDEX_IN_USE, 1, is_locked=False)
        self._is_locked = False

    def abandon(self) -> None:
        """Leave the locks to the parent; the descriptors are closed, and their numbers may be given out again."""
        self._is_locked, self._index = False, None

    def close(self) -> None:
        """Unlock, and close the files; no connection is open any more."""
        self.unlock()
        if self._index is not None:
            descriptors.let_go(self._index[0])
        descriptors.let_go(self.file)


_LOCKS: dict[File, LogLocks] = {}


def acquire(database: Path) -> LogLocks:
    """Return the locks on a database, for one more connection.

    Raises:
        OSError: It cannot be opened.
    """
    with LOCK:
        locks = _LOCKS.get(descriptors.file_of(database))
        if locks is None:
            locks = LogLocks(database)
            _LOCKS[locks.file] = locks
        locks.connections += 1
        return locks


def is_open(database: Path) -> bool:
    """Return whether this process has connections to a database.

    Raises:
        OSError: There is no such file.
    """
    with LOCK:
        locks = _LOCKS.get(descriptors.file_of(database))
        return locks is not None and locks.connections > 0


def release(locks: LogLocks, *, is_for_fork: bool = False) -> None:
    """Take a connection off the count; the last one ends the locks, unless it is closed for a fork only."""
    with LOCK:
        locks.connections -= 1
        if locks.connections <= 0 and not is_for_fork and _LOCKS.get(locks.file) is locks:
            del _LOCKS[locks.file]
            locks.close()


def forget() -> None:
    """Let go of everything: for a forked child, whose parent keeps the locks by its own descriptors."""
    while _LOCKS:
        _LOCKS.popitem()[1].abandon()
    descriptors.forget()


def _set(number: int, start: int, length: int, *, is_locked: bool) -> None:
    import fcntl

    kind = fcntl.F_RDLCK if is_locked else fcntl.F_UNLCK
    fcntl.fcntl(number, fcntl.F_OFD_SETLK, struct.pack("@hhqqi0q", kind, os.SEEK_SET, start, length, 0))
