"""Clocks that a test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from journal.clock import utc_now


class Clock:
    """Seconds, as `time.monotonic` gives them.

    Attributes:
        now: What it shows.
    """

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TwoClocks:
    """A time that passes when it is told to; it begins after everything that a test sets up."""

    began: datetime = field(default_factory=lambda: utc_now() + timedelta(hours=1))
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def utc_now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)
