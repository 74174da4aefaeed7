"""One breaker for all drains of a shared journal: what one finds, the others keep to.

A platform that asks one drain for a pause is left alone by all. After it one drain asks, and the others follow when it
was answered. So forty drains are no harder on a platform that is in trouble than one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta

from journal.errors import JournalUnavailable
from journal.outbox.outbox import Outbox
from journal.outbox.pauses import Pause
from journal.records import LANES, Lane
from uploader.delivery.sender import Sender

LOOK_SECONDS = 0.1
"""How soon a drain that sends learns of a pause that another has begun."""
AGAIN_SECONDS = 5.0
"""How soon a drain asks again to be the one that probes, when it had nothing to send."""
_Key = tuple[int, Lane]


class SharedPauses:
    """The pauses of all drains, and the breakers of one. The drain's main thread owns it."""

    def __init__(
        self, outbox: Outbox, drain: str, lease_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Know of none yet.

        Args:
            outbox: The drain's.
            drain: Its id, a uuid.
            lease_seconds: How long this drain is waited for when it probes, without being renewed.
            clock: The senders'.
        """
        self._pauses = outbox.pauses
        self._now = outbox.now
        self._drain = drain
        self._lease = lease_seconds
        self._clock = clock
        self._next_look = 0.0
        self._told: dict[_Key, float] = {}  # until when a lane is left alone, by our clock, as the others know
        self._probing: set[_Key] = set()
        self._not_before: dict[_Key, float] = {}

    def exchange(self, senders: Iterable[Sender]) -> None:
        """Tell the others what was found here, and keep to what they have found."""
        chosen = list(senders)
        for sender in chosen:
            for lane in LANES:
                self._tell(sender, lane)
        if self._clock() >= self._next_look:
            known = self._pauses.read()
            for sender in chosen:
                for lane in LANES:
                    self._keep_to(sender, lane, known)
            self._next_look = self._clock() + LOOK_SECONDS

    def give_back(self, senders: Iterable[Sender]) -> None:
        """Let others probe where this drain has nothing to send."""
        for sender in senders:
            for lane in LANES:
                key = (sender.destination.id, lane)
                if key in self._probing and not sender.in_flight:
                    self._pauses.give_back(*key, self._drain)
                    self._probing.discard(key)
                    self._not_before[key] = self._clock() + AGAIN_SECONDS
                    self._hold(sender, lane, self._not_before[key], sender.breakers.made(lane).pauses)

    def close(self) -> None:
        """Let others probe in the place of this drain, which ends."""
        with suppress(JournalUnavailable):  # then when its time is over
            for key in self._probing:
                self._pauses.give_back(*key, self._drain)
        self._probing.clear()

    def _tell(self, sender: Sender, lane: Lane) -> None:
        """Tell of a pause that was begun or lengthened here, or of an answer to our probe."""
        key, breaker, now = (sender.destination.id, lane), sender.breakers.of(lane), self._clock()
        if key in self._probing and (breaker is None or breaker.state(now) == "closed"):
            self._pauses.end(*key, self._drain)
            self._probing.discard(key)
            self._told.pop(key, None)
        elif breaker is not None and breaker.resumes_at > max(now, self._told.get(key, 0.0)):
            until = self._now() + timedelta(seconds=breaker.resumes_at - now)
            self._pauses.begin(*key, resumes_at=until, pauses=breaker.pauses, prober=self._drain, now=self._now())
            self._probing.discard(key)
            self._hold(sender, lane, breaker.resumes_at, breaker.pauses)

    def _keep_to(self, sender: Sender, lane: Lane, known: Mapping[_Key, Pause]) -> None:
        key, now = (sender.destination.id, lane), self._clock()
        pause = known.get(key)
        if pause is None:
            if key in self._told:  # another was answered
                sender.breakers.made(lane).resume(proven=True)
                del self._told[key]
                self._probing.discard(key)
        elif (left := (pause.resumes_at - self._now()).total_seconds()) > 0:
            self._hold(sender, lane, now + left, pause.pauses)
        elif self._may_probe(key, pause):
            if key not in self._probing:
                self._probing.add(key)
                self._hold(sender, lane, now, pause.pauses)
                sender.breakers.made(lane).resume(proven=False)
        else:
            self._probing.discard(key)
            self._hold(sender, lane, now + LOOK_SECONDS, pause.pauses)

    def _may_probe(self, key: _Key, pause: Pause) -> bool:
        """Return whether this drain is the one that asks now; say in time that it still does."""
        if key not in self._probing and self._clock() < self._not_before.get(key, 0.0):
            return False
        now = self._now()
        if pause.prober == self._drain and key in self._probing and pause.probe_until is not None:
            if (pause.probe_until - now).total_seconds() > self._lease / 2:
                return True
        elif pause.prober is not None and pause.probe_until is not None and pause.probe_until > now:
            return False
        return self._pauses.may_probe(*key, self._drain, seconds=self._lease, now=now)

    def _hold(self, sender: Sender, lane: Lane, until: float, pauses: int) -> None:
        sender.breakers.made(lane).hold(until, pauses)
        self._told[sender.destination.id, lane] = until
