"""One writer at a time, also where SQLite's own lock was taken off its file.

A copy of the journal's folder that this process makes closes `journal.db-shm`, and with that drops SQLite's lock on
writing: another process would write into the middle of our transaction, and what it was told to be committed would be
gone. So each write transaction also holds a lock on a descriptor of its own. It is the journal's folder that is locked:
there is no file that somebody could copy, delete or replace.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from types import TracebackType

_AT_ONCE = LOCK_EX | LOCK_NB
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025)  # as SQLite waits, then 25 ms each time


class WriteLock:
    """The lock of one connection. Whoever holds it may acquire it again, as a signal handler does.

    Attributes:
        depth: How often it is acquired.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        """Open it; where the folder cannot be opened, there is SQLite's own lock only.

        Args:
            folder: What is locked.
            seconds: How long to wait for another process.
        """
        self.depth = 0
        self._seconds = seconds
        self._number: int | None = None
        with suppress(OSError):
            self._number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _LOCKS.add(self)

    def acquire(self, seconds: float | None = None) -> None:
        """Wait for the lock.

        Args:
            seconds: How long; None for the usual time.

        Raises:
            sqlite3.OperationalError: Another process held it for longer; the words are SQLite's.
        """
        self.depth += 1
        number = self._number  # read once, as a signal handler may fork, which takes it from the child
        if self.depth > 1 or number is None:
            return
        try:
            flock(number, _AT_ONCE)
        except BlockingIOError:
            self._wait(number, self._seconds if seconds is None else seconds)
        except OSError:  # a file system without such locks
            pass
        except BaseException:
            self.release()
            raise

    def _wait(self, number: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        pauses = iter(_PAUSES)
        try:
            while time.monotonic() < deadline:
                time.sleep(next(pauses, _PAUSES[-1]))
                with suppress(BlockingIOError):
                    return flock(number, _AT_ONCE)
            raise sqlite3.OperationalError("database is locked")
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go of it, unless it was acquired more often; one that is not held stays as it is."""
        if self.depth:
            self.depth -= 1
            number = self._number
            if not self.depth and number is not None:
                try:  # noqa: SIM105 - the hot path
                    flock(number, LOCK_UN)
                except OSError:
                    pass

    def __enter__(self) -> None:
        """Wait for the lock."""
        self.acquire()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Let go of it."""
        self.release()

    def close(self) -> None:
        """Let go of it for good."""
        number, self._number, self.depth = self._number, None, 0
        if number is not None:
            with suppress(OSError):
                flock(number, LOCK_UN)
            os.close(number)

    def abandon(self) -> None:
        """Close it in a forked child, and leave the lock to whoever has it in the parent."""
        number, self._number, self.depth = self._number, None, 0
        if number is not None:
            os.close(number)


_LOCKS: weakref.WeakSet[WriteLock] = weakref.WeakSet()


def forget() -> None:
    """Abandon every lock: for a forked child."""
    for lock in list(_LOCKS):
        with suppress(OSError):
            lock.abandon()
