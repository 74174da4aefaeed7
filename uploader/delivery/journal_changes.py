"""Whether anybody has written to a journal since a drain last looked, without opening it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from journal.storage.log_flush import log_of

NOTICE_SECONDS = 0.1
"""How soon it is noticed that somebody has written."""
LOOK_SECONDS = 5.0
"""How often to look although nobody has: a process that was killed writes nothing."""
_REST = 9
"""What is done at each look takes one part in ten of the time, at most."""


class JournalChanges:
    """Compares the times and sizes of a journal's files. The drain's own writes count, too: it looks once more then."""

    def __init__(self, database: Path) -> None:
        """Know of no earlier look.

        Args:
            database: The journal's `journal.db`.
        """
        self._files = (log_of(database), database)
        self._seen: list[tuple[int, int] | None] = []

    def note(self) -> None:
        """Note that the journal is looked at from now on."""
        self._seen = self._stamps()

    def are_any(self) -> bool:
        """Return whether it was written to since."""
        return self._stamps() != self._seen

    def _stamps(self) -> list[tuple[int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        info = file.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size


def rest_after(began: float, ended: float) -> float:
    """Return the least seconds to wait after a look.

    Args:
        began: When the look began, in seconds.
        ended: When it was over.
    """
    return max(NOTICE_SECONDS, _REST * (ended - began))


def looks(
    database: Path, *, wait: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Yield at once, and then whenever somebody has written to a journal, and now and then in any case.

    Args:
        database: The journal's `journal.db`.
        wait: Waits for so many seconds.
        clock: Seconds; never goes back.
    """
    changes = JournalChanges(database)
    while True:
        changes.note()
        began = clock()
        yield
        rest = rest_after(began, clock())
        wait(rest)
        while not changes.are_any() and clock() - began < LOOK_SECONDS + rest:
            wait(NOTICE_SECONDS)
