"""How many requests at once, and how many a second: found on simulated links, in simulated time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

import pytest

from uploader.delivery.concurrency import FIRST_WIDTH, MOST_WIDTH, Concurrency, RequestRate
from uploader.delivery.fair_planning import BATCH, WINDOW
from uploader.errors import Transient, UnknownOutcome
from uploader.platforms.base import Receipt

ACCEPTED = Receipt({})
REFUSED = Transient("too many", status=429)
BROKEN = UnknownOutcome("the connection broke")


@dataclass
class Link:
    """A link and a server, with more to send than they take.

    Attributes:
        round_trip: Seconds that an answer takes at a time if nothing else is under way.
        capacity: So many requests a second pass, one after the other.
        allowed: So many a second are accepted, and as many at once as `burst`; the others are answered 429.
        retry_after: For which the sender is then silent, seconds.
        jitter: Round trips are longer by up to this part.
    """

    round_trip: Callable[[float], float]
    capacity: float = 1500.0
    allowed: float = math.inf
    burst: float = 100.0
    retry_after: float = 0.0
    jitter: float = 0.0
    concurrency: Concurrency = field(default_factory=Concurrency)
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def send(self, seconds: float) -> Link:
        """Send for so long; afterwards `accepted` and `refused` have the times of the answers."""
        self._random, self._numbers = Random(1), count()
        self._under_way: list[tuple[float, int, float, bool]] = []
        self._tokens, self._counted_at = self.burst, 0.0
        now = self._free_at = self._next_start = 0.0
        while now < seconds:
            self._start(now)
            soonest = [self._next_start] if len(self._under_way) < self.concurrency.width else []
            now = min([ends for ends, *_ in self._under_way[:1]] + soonest)
            while self._under_way and self._under_way[0][0] <= now:
                self._end(now, *heapq.heappop(self._under_way))
        return self

    def between(self, begin: float, end: float) -> float:
        """Return how many a second were accepted in this time."""
        return sum(begin <= at < end for at in self.accepted) / (end - begin)

    def _start(self, now: float) -> None:
        while len(self._under_way) < self.concurrency.width and now >= self._next_start:
            rate = self.concurrency.allowed.rate
            self._next_start = max(now, self._next_start) + (0.0 if math.isinf(rate) else 1 / rate)
            self._free_at = max(now, self._free_at) + 1 / self.capacity
            travel = self.round_trip(now) * (1 + self.jitter * self._random.random())
            ends = self._free_at + travel
            heapq.heappush(self._under_way, (ends, next(self._numbers), now, self._is_accepted(now)))

    def _is_accepted(self, now: float) -> bool:
        if math.isinf(self.allowed):
            return True
        self._tokens = min(self.burst, self._tokens + (now - self._counted_at) * self.allowed)
        self._counted_at = now
        self._tokens -= (is_accepted := self._tokens >= 1)
        return is_accepted

    def _end(self, now: float, _ends: float, _number: int, began: float, is_accepted: bool) -> None:
        is_busy = len(self._under_way) + 1 >= self.concurrency.width
        self.concurrency.after(ACCEPTED if is_accepted else REFUSED, now - began, now, is_busy=is_busy)
        if is_accepted:
            self.accepted.append(now)
        else:
            self.refused.append(now)
            self._next_start = max(self._next_start, now + self.retry_after)


def test_a_link_without_delay_is_filled_by_few() -> None:
    link = Link(lambda _: 0.0007).send(30)
    assert link.between(5, 30) == pytest.approx(1500, rel=0.02)
    assert link.concurrency.width <= 20


@pytest.mark.parametrize(("round_trip", "least"), [(0.05, 1350), (0.3, 800)])
def test_a_long_link_is_filled_by_many(round_trip: float, least: float) -> None:
    link = Link(lambda _: round_trip).send(30)
    assert link.between(3, 30) >= least


@pytest.mark.parametrize("jitter", [0.05, 0.15])
def test_answers_that_vary_a_little_keep_no_long_link_narrow(jitter: float) -> None:
    link = Link(lambda _: 0.3, jitter=jitter).send(30)
    assert link.between(3, 30) >= 700


def test_a_moment_in_which_answers_were_late_is_made_up_for_in_seconds() -> None:
    link = Link(lambda now: 0.3 + 0.2 * (1.2 <= now < 1.6)).send(10)
    assert link.between(5, 10) >= 800


def test_no_link_is_flooded() -> None:
    link = Link(lambda _: 0.1, capacity=30).send(60)
    assert link.between(5, 60) == pytest.approx(30, rel=0.05)
    assert link.concurrency.width <= 30


def test_a_link_whose_answers_vary_is_used() -> None:
    link = Link(lambda _: 0.03, jitter=2.0).send(30)
    assert link.between(5, 30) >= 300  # sixteen at once reach 267 at most


@pytest.mark.parametrize(("before", "after", "least"), [(0.02, 0.2, 500), (0.2, 0.02, 1400)])
def test_a_link_that_changes_is_found_again_within_ten_seconds(before: float, after: float, least: float) -> None:
    link = Link(lambda now: before if now < 15 else after).send(40)
    assert link.between(25, 40) >= least


@pytest.mark.parametrize("link", [
    Link(lambda _: 0.002, allowed=100),
    Link(lambda _: 0.002, allowed=100, retry_after=1.0, burst=30),
    Link(lambda _: 0.05, allowed=100, retry_after=1.0),
    Link(lambda _: 0.3, allowed=100),
])  # fmt: skip
def test_a_platform_that_counts_gets_nearly_what_it_allows(link: Link) -> None:
    link.send(120)
    assert link.between(20, 120) >= 90
    assert len(link.refused) <= 0.1 * (len(link.accepted) + len(link.refused))


def test_a_limit_that_was_lifted_is_forgotten() -> None:
    rate = RequestRate()
    for number in range(100):
        rate.accepted(number / 100)
    rate.refused(1.0)
    assert 80 < rate.limit(1.0) < 120
    assert rate.limit(100.0) > 10_000


def test_failures_of_one_moment_halve_it_once() -> None:
    concurrency = Concurrency()
    for _ in range(FIRST_WIDTH):
        concurrency.after(BROKEN, 0.0, 10.0, is_busy=True)
    assert concurrency.width == FIRST_WIDTH // 2
    for seconds in range(11, 20):
        concurrency.after(BROKEN, 0.0, float(seconds), is_busy=True)
    assert concurrency.width == 1


def test_it_never_exceeds_the_most() -> None:
    link = Link(lambda _: 1.0, capacity=1e6).send(60)
    assert link.concurrency.width <= MOST_WIDTH
    assert link.between(20, 60) >= 0.7 * MOST_WIDTH


def test_no_more_is_claimed_ahead_than_is_planned_at_a_time() -> None:
    concurrency = Link(lambda _: 0.3, capacity=1e6).send(30).concurrency
    assert concurrency.width == MOST_WIDTH
    assert concurrency.allowed.ahead + BATCH <= WINDOW


def test_what_a_person_chose_stays() -> None:
    concurrency = Concurrency(3)
    link = Link(lambda _: 0.05, allowed=10, burst=1, concurrency=concurrency).send(10)
    assert link.refused
    assert concurrency.allowed[:2] == (3, math.inf)


def test_few_messages_do_not_make_it_grow() -> None:
    concurrency = Concurrency()
    for number in range(100):
        concurrency.after(ACCEPTED, 0.05, number / 10, is_busy=False)
    assert concurrency.width <= FIRST_WIDTH
