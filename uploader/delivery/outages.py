"""When a drain cannot use its journal: another process is in the way, the disk is full, or the server is away."""

from __future__ import annotations

import logging
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

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know of none.

        Args:
            watch: Whether the drain watches, and so waits for ever.
            tick: Seconds before the next try, at first.
            is_stopping: Whether the drain was told to stop.
            wait: Waits so many seconds, or until the drain is told to stop.
            random: Spreads the tries of many drains.
            clock: Seconds; never goes back.
        """
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
        if any(now - self._since >= limit for limit in limits):
            raise error
