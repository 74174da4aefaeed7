"""How often a journal is looked at: soon after somebody has written to it, and now and then in any case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from journal.storage.file_changes import FileChanges

NOTICE_SECONDS = 0.1
"""How soon it is noticed that somebody has written."""
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


def looks(
    database: Path, *, wait: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Yield at once, and then whenever somebody has written to a journal, and now and then in any case.

    Args:
        database: The journal's `journal.db`.
        wait: Waits for so many seconds.
        clock: Seconds; never goes back.
    """
    changes = FileChanges(database)
    while True:
        changes.note()
        began = clock()
        yield
        rest = rest_after(began, clock())
        wait(rest)
        while not changes.are_any() and clock() - began < LOOK_SECONDS + rest:
            wait(NOTICE_SECONDS)
