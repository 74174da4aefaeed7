"""Whether a destination may be sent to: circuit breakers. No I/O; the clock is the caller's.

            answered              unreachable, failing in a row, or asking for a wait
    half-open ───────▶ closed ──────────────────────────────────────────▶ open
      │   ▲                                                                │ ▲
      │   └─────────────────────────── wait is over ───────────────────────┘ │
      └──────────────────────────────── failed ──────────────────────────────┘

A destination begins half-open: one request is let through, and only when it is answered do all others follow. So a
host that is away, or answers "later" to everything, sees one probe at a time, at growing intervals, however much waits;
and a drain that is restarted over and over sends it one request each time. An upload may take long: where one is under
way, be it the probe, a message may still be sent as another (`sender.py`).

Uploads have a breaker of their own besides, from the first one that fails until one arrives.
"""

from __future__ import annotations

from typing import Literal

from journal.records import Lane
from uploader.delivery.retry_policy import FIRST_WAIT, Random, backoff
from uploader.errors import DeliveryError, Transient, UnknownOutcome, Unreachable

State = Literal["closed", "half-open", "open"]
_FROM_STRICTEST: tuple[State, ...] = ("open", "half-open", "closed")

LONGEST_PAUSE = 60.0
"""Most seconds between two probes, so that a watching drain notices a network that is back."""
FAILURES_IN_A_ROW = 5
"""After this many answers in a row that say "later", the breaker opens."""


class CircuitBreaker:
    """The state of one destination.

    Times are seconds of a clock that never goes back.

    Attributes:
        resumes_at: When an open breaker becomes half-open.
        reached: Whether the host took or refused anything since the start.
        unreachable: How many probes in a row found it unreachable.
        pauses: How many pauses in a row there were.
        is_held: Whether it stays open until `hold`, `resume` or `answered` says otherwise: other drains know better.
    """

    def __init__(self, random: Random, first_wait: float = FIRST_WAIT) -> None:
        """Begin half-open; `random` spreads the waits, the shortest of which is `first_wait`."""
        self._random = random
        self._first_wait = first_wait
        self._proven = False
        self._failing = 0
        self.pauses = 0
        self.is_held = False
        self.resumes_at = 0.0
        self.reached = False
        self.unreachable = 0

    def state(self, now: float) -> State:
        """Return whether all may be sent (`closed`), one at a time (`half-open`), or nothing (`open`)."""
        if self.is_held or now < self.resumes_at:
            return "open"
        return "closed" if self._proven else "half-open"

    def hold(self, until: float, pauses: int) -> None:
        """Other drains leave the host alone: open, at least until then.

        Args:
            until: When to look again how they fared.
            pauses: How many pauses in a row it is.
        """
        self.is_held, self._proven = True, False
        self.resumes_at, self.pauses = until, pauses

    def resume(self, *, proven: bool) -> None:
        """Their pause is over: half-open for the one drain that asks, closed once another was answered."""
        self.is_held, self._proven = False, proven
        self.resumes_at = 0.0
        if proven:
            self._failing = self.pauses = self.unreachable = 0

    def answered(self, now: float) -> None:
        """The host gave an answer of its own, be it a refusal; during a pause it is one to an earlier request."""
        self.reached = True
        if now >= self.resumes_at and not self.is_held:
            self._proven = True
            self._failing = self.pauses = self.unreachable = 0

    def failed(self, error: DeliveryError, now: float) -> None:
        """An attempt failed; errors that say nothing about the host change nothing.

        A wait that the host asks for is kept, and lengthened where it keeps asking: one that always answers
        `Retry-After: 0` would otherwise be asked again at once, for each delivery that waits.

        Args:
            error: How.
            now: When.
        """
        asked = (error.retry_after if isinstance(error, Transient) else None) or 0.0
        if self.is_held or now < self.resumes_at:  # one of those that were in flight when the first failed
            self.resumes_at = max(self.resumes_at, now + asked)
        elif self._ends_trust(error):
            self._proven = False
            self.pauses += 1
            wait = backoff(self.pauses, self._random, LONGEST_PAUSE, self._first_wait)
            self.resumes_at = now + max(asked, wait)

    def _ends_trust(self, error: DeliveryError) -> bool:
        """Count a failure; return whether the breaker opens."""
        if isinstance(error, Unreachable):
            self.unreachable += 1
            return True
        if not isinstance(error, (Transient, UnknownOutcome)):
            return False
        self._failing += 1
        asks = isinstance(error, Transient) and error.retry_after is not None
        return asks or not self._proven or self._failing >= FAILURES_IN_A_ROW


class LaneBreakers:
    """When messages and when uploads may be sent to one destination.

    Platforms limit uploads by themselves, and their bytes go to a storage: an upload that is put off says nothing about
    messages. A message that is put off puts uploads off as well.

    Attributes:
        host: For all that is sent there.
    """

    def __init__(self, random: Random, first_wait: float = FIRST_WAIT) -> None:
        """Begin with one probe; see `CircuitBreaker`."""
        self.host = CircuitBreaker(random, first_wait)
        self._random = random
        self._first_wait = first_wait
        self._uploads: CircuitBreaker | None = None

    def state(self, lane: Lane, now: float) -> State:
        """Return what may be sent of a lane; see `CircuitBreaker.state`."""
        return min((breaker.state(now) for breaker in self._breakers(lane)), key=_FROM_STRICTEST.index)

    def states(self, now: float) -> tuple[State, State]:
        """Return what may be sent of messages, and what of uploads."""
        return self.state("message", now), self.state("upload", now)

    def resumes_at(self, lane: Lane) -> float:
        """Return when the lane's pause is over; it may be past."""
        return max(breaker.resumes_at for breaker in self._breakers(lane))

    def answered(self, lane: Lane, now: float) -> None:
        """The host took or refused something."""
        self.host.answered(now)
        if lane == "upload" and now >= self.resumes_at(lane):
            self._uploads = None

    def failed(self, lane: Lane, error: DeliveryError, now: float) -> None:
        """An attempt failed; see `CircuitBreaker.failed`."""
        if lane == "upload" and isinstance(error, (Transient, UnknownOutcome)):
            self.made(lane).failed(error, now)
        else:
            self.host.failed(error, now)

    def of(self, lane: Lane) -> CircuitBreaker | None:
        """Return the breaker of messages, which is the host's; or that of uploads alone, if they have one."""
        return self.host if lane == "message" else self._uploads

    def made(self, lane: Lane) -> CircuitBreaker:
        """Return the same; uploads get one."""
        if lane == "upload" and self._uploads is None:
            self._uploads = CircuitBreaker(self._random, self._first_wait)
        return self.of(lane) or self.host

    def _breakers(self, lane: Lane) -> list[CircuitBreaker]:
        return [self.host] if lane == "message" or self._uploads is None else [self.host, self._uploads]
