"""How many requests a destination gets at once, and how many a second. No I/O; the clock is the caller's.

Nobody knows a link, so its answers tell: as long as more requests at once take no longer each, there are more; once
they wait in some queue on the way, the number stays at what keeps that queue short. This is how FAST TCP finds its
window (Wei, Jin, Low, Hegde 2006): what is waiting somewhere is the part of the requests under way that the time beyond
the shortest answer's accounts for. A failure that says "too much" halves the number.

A platform that limits requests per second (429) answers quickly, so fewer at once do not help: the rate is held a
little below what it took, for a while, and then tried upwards again.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from uploader.errors import Refused, Transient, UnknownOutcome, Unreachable
from uploader.platforms.base import Receipt

FIRST_WIDTH = 4
MOST_WIDTH = 256
"""Enough for 800 messages a second at 300 ms; each is a thread and a connection."""
QUEUED = 4.0
"""So many requests may wait in queues on the way: enough to keep the other side busy,"""
QUEUED_PART = 1 / 8
"""or this part of those that are under way: the times of answers vary by as much, with nothing in the way."""
CLEAR_PART, CLEAR_ROUNDS = 1 / 4, 3
"""Where less than this part of that waited in each of so many round trips, the link has room for twice as many: what
ended the start was a moment's."""
PERIOD = 4.0
"""Seconds after which the shortest answer is measured anew, with half as many at once, as the link may have changed."""
ROUNDS = 10
"""But not before as many round trips."""
RATE_SECONDS = 2.0
"""A rate is measured over this time."""
BELOW = 0.95
"""After a refusal the rate is this part of what was accepted,"""
FIRST_HOLD = 4.0
"""stays there for this long, seconds,"""
LONGEST_HOLD = 60.0
"""or up to this long, where the same rate is refused again and again,"""
GROWTH = 1.0
"""and then grows by this part a second, divided by the time it was held: the better it is known, the slower."""
LEAST_RATE = 0.5
CLAIM_AHEAD = 4
"""This many messages are claimed for each one that is sent at once, so that no thread waits for the journal,"""
AHEAD_SECONDS = 0.5
"""or what is sent in this time, as each claim costs a transaction,"""
MOST_AHEAD = 3 * MOST_WIDTH
"""but no more than this, as it is claimed that long before it is sent."""
TOO_MANY = 429
"""The status that counts requests."""


class Allowed(NamedTuple):
    """What may be sent.

    Attributes:
        width: So many messages at once.
        rate: So many a second.
        ahead: So many may be at hand.
    """

    width: int
    rate: float
    ahead: int


class Concurrency:
    """The number of requests at once to one destination.

    Attributes:
        width: The number; at least 1.
        allowed: What `after` returned last.
    """

    def __init__(self, fixed: int | None = None) -> None:
        """Begin with a few; `fixed` is a person's choice, which stays."""
        self.width = fixed or FIRST_WIDTH
        self._is_fixed = fixed is not None
        self._round: list[float] = []
        self._shortest = math.inf
        self._shortest_before = math.inf
        self._next_period = -math.inf
        self._is_measuring = False
        self._is_starting = True
        self._clear_rounds = 0
        self._halved_at = -math.inf
        self._rate = RequestRate()
        self.allowed = Allowed(self.width, math.inf, _ahead(self.width, 0.0))

    def after(self, result: Receipt | Exception, seconds: float, now: float, *, is_busy: bool) -> Allowed:
        """Return what may be sent after one more answer, or its lack.

        Args:
            result: The answer; errors that say nothing about how much there is change nothing.
            seconds: How long that took.
            now: The time.
            is_busy: Whether as many were under way as may be; else the number is not put to the test.
        """
        if isinstance(result, (Receipt, Refused)):
            self.accepted(seconds, now, is_busy=is_busy)
        elif isinstance(result, (Transient, UnknownOutcome, Unreachable)):
            self.too_much(now, is_rate=isinstance(result, Transient) and result.status == TOO_MANY)
        rate = math.inf if self._is_fixed else self._rate.limit(now)
        self.allowed = Allowed(self.width, rate, _ahead(self.width, self._rate.measured))
        return self.allowed

    def accepted(self, seconds: float, now: float, *, is_busy: bool) -> None:
        """The platform took or refused something for good; see `after`."""
        self._rate.accepted(now)
        if self._is_fixed:
            return
        self._round.append(seconds)
        if len(self._round) >= self._round_size():
            self._end_round(now, is_busy=is_busy)

    def too_much(self, now: float, *, is_rate: bool) -> None:
        """An answer, or its lack, said that this was too much; several of one moment count once.

        Args:
            now: The time.
            is_rate: Whether the platform counts requests (429).
        """
        if self._is_fixed:
            return
        if is_rate:
            self._rate.refused(now)
        elif now - self._halved_at >= self._round_trip():
            self._halved_at, self._is_starting, self._is_measuring = now, False, False
            self.width = max(1, self.width // 2)
            self._round.clear()

    def _round_size(self) -> int:
        return max(FIRST_WIDTH, self.width)

    def _round_trip(self) -> float:
        shortest = min(self._shortest, self._shortest_before)
        return 1.0 if math.isinf(shortest) else max(shortest, 0.1)

    def _end_round(self, now: float, *, is_busy: bool) -> None:
        mean = sum(self._round) / len(self._round)
        self._round.clear()
        self._shortest = min(self._shortest, mean)
        if self._is_measuring:  # with half as many; now as before
            self.width, self._is_measuring = 2 * self.width, False
        elif now >= self._next_period:
            self._begin_period(now)
        if is_busy and not self._is_measuring:
            self._adapt(mean)

    def _begin_period(self, now: float) -> None:
        self._next_period = now + max(PERIOD, ROUNDS * self._shortest)
        self._is_starting = self._is_starting or self._shortest > 2 * self._shortest_before
        self._shortest_before, self._shortest = self._shortest, math.inf
        if not self._is_starting and self.width > 1:
            self.width, self._is_measuring = self.width // 2, True

    def _adapt(self, mean: float) -> None:
        shortest = min(self._shortest, self._shortest_before)
        under_way = self.width * (shortest / mean if mean > shortest else 1.0)
        waiting, may_wait = self.width - under_way, max(QUEUED, QUEUED_PART * self.width)
        self._clear_rounds = self._clear_rounds + 1 if waiting <= CLEAR_PART * may_wait else 0
        if self._clear_rounds >= CLEAR_ROUNDS or (self._is_starting and waiting <= may_wait):
            self.width, self._clear_rounds = min(MOST_WIDTH, 2 * self.width), 0
            return
        self._is_starting = False
        self.width = max(1, min(MOST_WIDTH, round((self.width + under_way + may_wait) / 2)))


def _ahead(width: int, rate: float) -> int:
    """Return how many messages may be at hand where so many are sent at once, and so many a second."""
    return max(2 * width, min(MOST_AHEAD, max(CLAIM_AHEAD * width, int(AHEAD_SECONDS * rate))))


class RequestRate:
    """How many requests a second a platform takes that counts them."""

    def __init__(self) -> None:
        """Know of no limit."""
        self._times: deque[float] = deque()
        self._limit = math.inf
        self._refused_rate = math.inf
        self._refused_at = -math.inf
        self._hold = FIRST_HOLD

    def limit(self, now: float) -> float:
        """Return the limit, which grows again some time after a refusal."""
        grown = max(0.0, now - self._refused_at - self._hold)
        return self._limit * math.exp(min(grown * GROWTH / self._hold, 100.0))

    def accepted(self, now: float) -> None:
        """Count an accepted request."""
        self._times.append(now)
        while self._times[0] < now - RATE_SECONDS:
            self._times.popleft()

    def refused(self, now: float) -> None:
        """The platform refused one for its number; what was under way with it counts with it."""
        if now - self._refused_at < RATE_SECONDS / 2:
            return
        rate = min(self.limit(now), max(self.measured, 0.7 * self._limit if self._limit < math.inf else 0.0))
        is_same = abs(rate - self._refused_rate) <= rate / 8
        self._hold = min(LONGEST_HOLD, 3 * self._hold) if is_same else FIRST_HOLD
        self._refused_rate, self._refused_at, self._limit = rate, now, max(LEAST_RATE, BELOW * rate)

    @property
    def measured(self) -> float:
        """How many requests a second were accepted lately."""
        return len(self._times) / max(0.5, self._times[-1] - self._times[0]) if self._times else 0.0
