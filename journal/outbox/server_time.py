"""The time of a shared journal's server, told without asking it each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from journal.clock import utc_now
from journal.errors import JournalUnavailable

MEASURED_SECONDS = 60.0
"""How often the server is asked: clocks that run on by themselves part by a few milliseconds in this time."""
STEP_SECONDS = 1.0
"""It is asked at once where this machine's own clocks have parted by more: one was set, or the machine has slept."""


class ServerTime:
    """How far this machine's clock is from the server's. One thread owns it.

    An answer is late by the way back: leases, of a minute, do not notice.
    """

    def __init__(
        self,
        ask: Callable[[], datetime],
        *,
        clock: Callable[[], datetime] = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            ask: Returns the server's time.
            clock: This machine's; it may be set.
            steady: Seconds of a clock that is never set.
        """
        self._ask = ask
        self._clock = clock
        self._steady = steady
        self._ahead: timedelta | None = None  # the server's clock, of ours
        self._asked_at = 0.0
        self._both = 0.0

    def __call__(self) -> datetime:
        """Return the server's time.

        Raises:
            JournalUnavailable: The server is away, and was never asked before.
        """
        here, steady = self._clock(), self._steady()
        both = here.timestamp() - steady
        if self._ahead is None or steady - self._asked_at > MEASURED_SECONDS or abs(both - self._both) > STEP_SECONDS:
            self._measure()
            here = self._clock()
        assert self._ahead is not None
        return here + self._ahead

    def _measure(self) -> None:
        try:
            there = self._ask()
        except JournalUnavailable:
            if self._ahead is None:
                raise
            return  # as it was; the next call asks again
        here, self._asked_at = self._clock(), self._steady()
        self._ahead, self._both = there - here, here.timestamp() - self._asked_at
