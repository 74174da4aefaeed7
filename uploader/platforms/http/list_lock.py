"""Long lists are read by one thread at a time, because each takes much memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock


class ListLock:
    """Held while a list of models, which may take hundreds of megabytes, is read and searched."""

    def __init__(self) -> None:
        self._lock = Lock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock; afterwards the memory that was freed is returned to the system."""
        with self._lock:
            try:
                yield
            finally:
                _trim()


def _trim() -> None:
    # glibc would keep it for each thread: after blocks of this size, up to as much as the list took.
    with suppress(OSError, TypeError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
