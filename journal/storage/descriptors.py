"""Opening a database's files by hand without dropping anybody's locks.

SQLite's locks are POSIX locks: they belong to the process, and closing any descriptor of a file takes all of them off
it (https://sqlite.org/howtocorrupt.html, section 2.2), also those of connections that are not ours. So a descriptor is
closed only when this process has no other descriptor of the file; until then it is kept and reused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

File = tuple[int, int]
"""Device and inode."""
LOCK = threading.RLock()
"""Held while a file is opened or closed, and while this process forks (`fork_safety.py`)."""
_OURS = "/dev/fd"


class _Kept:
    """A descriptor, and how many hold it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.holders = 0


_KEPT: dict[File, _Kept] = {}


def file_of(path: Path) -> File:
    """Return device and inode of the file at this path.

    Raises:
        OSError: There is no such file, or it cannot be examined.
    """
    status = path.stat()
    return status.st_dev, status.st_ino


def hold(path: Path) -> tuple[File, int]:
    """Return a descriptor that may be shared, so read it with `read_at`; call `let_go` with the file afterwards.

    Raises:
        OSError: It cannot be opened.
    """
    with LOCK:
        file = file_of(path)
        if file not in _KEPT:
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(number)
            file = status.st_dev, status.st_ino
            _KEPT.setdefault(file, _Kept(number))
        _KEPT[file].holders += 1
        return file, _KEPT[file].number


def let_go(file: File) -> None:
    """Close what `hold` returned, as soon as that releases nobody's locks."""
    with LOCK:
        kept = _KEPT.get(file)
        if kept is None:  # held by the process that this one was forked from
            return
        kept.holders -= 1
        if kept.holders <= 0 and not _is_open_here(file, kept.number):
            del _KEPT[file]
            os.close(kept.number)


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """Open a file for `read_at`.

    Raises:
        OSError: It cannot be opened.
    """
    file, number = hold(path)
    try:
        yield number
    finally:
        let_go(file)


def read_at(number: int, count: int, start: int) -> bytes:
    """Return `count` bytes from offset `start`, fewer at the end of the file.

    Raises:
        OSError: They cannot be read.
    """
    return os.pread(number, count, start)


def forget() -> None:
    """Close everything in a forked child, which has inherited the descriptors but none of the locks."""
    while _KEPT:
        _, kept = _KEPT.popitem()
        with suppress(OSError):
            os.close(kept.number)


def _is_open_here(file: File, number: int) -> bool:
    """Return whether this process has the file open by another descriptor, as far as the system tells."""
    try:
        others = [int(name) for name in os.listdir(_OURS)]  # noqa: PTH208 - it is no folder of ours
    except (OSError, ValueError):
        return True
    return any(_same(file, other) for other in others if other != number)


def _same(file: File, number: int) -> bool:
    try:
        status = os.fstat(number)
    except OSError:  # the listing's own
        return False
    return (status.st_dev, status.st_ino) == file
