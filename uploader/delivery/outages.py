"""When a drain cannot use its journal: another process is in the way, the disk is full, or the server is away."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from journal.errors import DiskFull, JournalAway, JournalBusy, JournalUnavailable

PASSING = (JournalBusy, DiskFull, JournalAway)
"""What may be over the next time."""
AWAY_SECONDS = 60.0
"""How long a drain that does not watch waits for its journal's server: longer than one takes to start again."""
STOPPING_SECONDS = 5.0
"""How long one that was told to stop: what it could not record is sent again by the next."""
LONGEST_SECONDS = 5.0
"""Most seconds between two tries."""
_NOTICE_SECONDS = 0.2
"""How often a drain that waits for a journal to open looks whether it was told to stop."""

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


def until_there(
    work: Callable[[], _T],
    *,
    watch: bool,
    max_time: float | None,
    has_stopped: Callable[[], bool],
    wait: Callable[[float], object] = time.sleep,
) -> _T:
    """Return what opening a journal comes to; while its server is away, wait as in the middle of a drain.

    Args:
        work: Opens it.
        watch: Whether the drain watches, and so waits for ever.
        max_time: Seconds that the drain may take; None for no such limit.
        has_stopped: Whether the drain was told to stop.
        wait: Waits so many seconds.

    Raises:
        JournalAway: It was away for too long, or the drain was told to stop.
    """

    def pause(seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while not has_stopped() and (left := ends_at - time.monotonic()) > 0:
            wait(min(left, _NOTICE_SECONDS))

    outages = Outages(
        watch=watch, tick=1.0, is_stopping=has_stopped, wait=pause, random=random.random, longest=max_time
    )
    found = outages.through(work)
    if outages.was_away:
        outages.note_end()
    return found


class Outages:
    """The outages of one drain's journal. The drain's main thread owns it.

    Attributes:
        was_away: Whether the server was away since `note_end` was called last: it may have done what it did not answer.
    """

    def __init__(
        self,
        *,
        watch: bool,
        tick: float,
        is_stopping: Callable[[], bool],
        wait: Callable[[float], object],
        random: Callable[[], float],
        longest: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know of none.

        Args:
            watch: Whether the drain watches, and so waits for ever.
            tick: Seconds before the next try, at first.
            is_stopping: Whether the drain was told to stop.
            wait: Waits so many seconds, or until the drain is told to stop.
            random: Spreads the tries of many drains.
            longest: Seconds after which it gives up in any case; None for no such limit.
            clock: Seconds; never goes back.
        """
        self._longest = longest
        self._watch = watch
        self._tick = tick
        self._is_stopping = is_stopping
        self._wait = wait
        self._random = random
        self._clock = clock
        self._since: float | None = None
        self._tries = 0
        self._said = ""
        self.was_away = False

    def wait_out(self, error: JournalUnavailable) -> None:
        """Say once what is in the way, and wait a little; raise it where that is no use.

        Args:
            error: One of `PASSING`.
        """
        if isinstance(error, JournalAway):
            self._give_up_in_time(error)
        elif isinstance(error, DiskFull) and not self._watch:
            raise error
        if str(error) != self._said:
            _LOG.warning("%s", error)
        self._said = str(error)
        self._wait(min(self._tick * 2**self._tries, LONGEST_SECONDS) * (0.5 + self._random() / 2))
        self._tries = min(self._tries + 1, 10) if self.was_away else 0

    def through(self, work: Callable[[], _T]) -> _T:
        """Return what some work on the journal comes to; while the server is away, do it again."""
        while True:
            try:
                return work()
            except JournalAway as error:
                self.wait_out(error)

    def note_end(self) -> None:
        """Note that the journal can be used after its server was away."""
        self.was_away, self._since, self._tries, self._said = False, None, 0, ""
        _LOG.warning("The journal can be used again.")

    def _give_up_in_time(self, error: JournalAway) -> None:
        now = self._clock()
        self._since = now if self._since is None else self._since
        self.was_away = True
        limits = [STOPPING_SECONDS] if self._is_stopping() else [] if self._watch else [AWAY_SECONDS]
        limits += [] if self._longest is None else [self._longest]
        if any(now - self._since >= limit for limit in limits):
            raise error
