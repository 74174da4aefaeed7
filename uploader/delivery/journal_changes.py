"""How often a journal is looked at: soon after somebody has written to it, and now and then in any case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from journal.shared_addresses import shared_url
from journal.storage.file_changes import FileChanges

NOTICE_SECONDS = 0.1
"""How soon it is noticed that somebody has written."""
SHARED_SECONDS = 1.0
"""How often a shared journal is looked at, as its server tells of nothing but new events."""
LOOK_SECONDS = 5.0
"""How often to look although nobody has: a process that was killed writes nothing."""
_REST = 9
"""What is done at each look takes one part in ten of the time, at most."""


def rest_after(began: float, ended: float) -> float:
    """Return the least seconds to wait after a look.

    Args:
        began: When the look began, in seconds.
        ended: When it was over.
    """
    return max(NOTICE_SECONDS, _REST * (ended - began))


class _Regularly:
    """Says now and then that a journal may have been written to."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looked = clock()

    def note(self) -> None:
        """Note that it is looked at now."""
        self._looked = self._clock()

    def are_any(self) -> bool:
        """Return whether that was long enough ago."""
        return self._clock() - self._looked >= SHARED_SECONDS


def looks(
    journal: Path, *, wait: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Yield at once, and then whenever somebody has written to a journal, and now and then in any case.

    Args:
        journal: The folder, or what stands for the URL of a shared journal.
        wait: Waits for so many seconds.
        clock: Seconds; never goes back.
    """
    changes = _Regularly(clock) if shared_url(journal) else FileChanges(journal / "journal.db")
    while True:
        changes.note()
        began = clock()
        yield
        rest = rest_after(began, clock())
        wait(rest)
        while not changes.are_any() and clock() - began < LOOK_SECONDS + rest:
            wait(NOTICE_SECONDS)
