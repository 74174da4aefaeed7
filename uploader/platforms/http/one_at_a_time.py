"""Long answers are read one at a time, whatever the number of threads."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock


class Turns:
    """Lets one thread at a time read what takes hundreds of megabytes, such as a list of models."""

    def __init__(self) -> None:
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the thread's turn; what it has freed at the end is the system's again."""
        with self._lock:
            try:
                yield
            finally:
                _trim()


def _trim() -> None:
    # After blocks of this size glibc keeps for each thread what it has freed, up to as much as the list took.
    with suppress(OSError, TypeError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
