"""How fast a drain delivers, and how long the rest will take at that pace. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
"""The pace is that of the last minute: an hour without a network says nothing of the next one."""


@dataclass(frozen=True)
class Mark:
    """How much had been delivered at a moment.

    Attributes:
        at: When, in seconds of a clock.
        deliveries: How many, since the drain began.
        bytes: What they held.
    """

    at: float
    deliveries: int
    bytes: int


class TimeLeft:
    """How long one drain will take."""

    def __init__(self, now: float) -> None:
        """Begin.

        Args:
            now: Seconds of a clock.
        """
        self._marks = deque([Mark(now, 0, 0)])

    def seconds_for(self, mark: Mark, deliveries: int, size: int) -> float | None:
        """Return how long the rest takes; None where nothing was delivered lately.

        Args:
            mark: How much has been delivered by now.
            deliveries: How many are left.
            size: Bytes that are left.
        """
        self._marks.append(mark)
        while mark.at - self._marks[0].at > WINDOW_SECONDS and len(self._marks) > 2:
            self._marks.popleft()
        first = self._marks[0]
        since, made, sent = mark.at - first.at, mark.deliveries - first.deliveries, mark.bytes - first.bytes
        if made <= 0 or since <= 0:
            return None
        return max(deliveries * since / made, size * since / sent if sent > 0 else 0.0)
