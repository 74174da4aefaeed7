"""One destination while a drain runs: its client, its worker pools, its circuit breakers and the claims in flight."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

from journal.checkpoints.blob_access import Blobs
from journal.kinds import CHECKPOINT, COMPLETE, FAILED
from journal.records import Claim, Destination, Lane
from uploader.delivery.address_check import may_be_a_platforms
from uploader.delivery.attempt import Deliverer, Finished
from uploader.delivery.circuit_breaker import LaneBreakers
from uploader.delivery.concurrency import Concurrency
from uploader.delivery.heartbeats import Heartbeats
from uploader.delivery.progress import Progress
from uploader.delivery.retry_policy import FIRST_WAIT, Random
from uploader.delivery.worker_pool import WorkerPool
from uploader.errors import (
    CredentialsRefused,
    DeliveryError,
    ReadRefused,
    Refused,
    SettingsError,
    UnknownOutcome,
    UploaderError,
)
from uploader.platforms.base import Heartbeating, KeepingHeads, Platform, Receipt, RunIdentity

if TYPE_CHECKING:
    from journal import Journal
    from uploader.delivery.head_sending import HeadSending

BYTES_IN_FLIGHT = 32 << 20
"""Characters of messages in flight at once, unless one alone has more: large ones go one or two at a time."""
MORE_PROBES = 3
"""A host that answered before gets this many more probes before it counts as unreachable."""
HEADS_AFTER = frozenset({CHECKPOINT, COMPLETE, FAILED})
"""The kinds of deliveries after which a platform is told a run's heads: weights, and the end of a training."""
HEADS_PATIENCE = 10.0
"""How many seconds a sender waits at its end for a platform that is being told."""
READS_REFUSED = 3
"""After this many refusals to read, with nothing accepted, the key counts as good for nothing. There are as many
queues, and probes come from each in rotation, so each had a chance to show what the key may write."""


@dataclass(frozen=True)
class SenderContext:
    """What all senders of a drain share.

    Attributes:
        connect: Platform's name and base URL to a client; raises `UploaderError` when there can be none.
        blobs: Where checkpoints' bytes are.
        journal: The journal, for what tells the heads of its runs.
        default_project: For runs that named none.
        progress: Hears of uploads.
        abort: Once set, uploads end where they are.
        results: Where finished attempts are put; None wakes the reader up.
        parallel: How many messages at once, for each destination; None for what the link and the platform take.
        uploads: How many uploads at once, for each destination.
        random: For waits.
        first_wait: After a host's first failure, seconds.
        clock: Seconds; never goes back.
    """

    connect: Callable[[str, str], Platform]
    blobs: Blobs
    journal: Journal
    default_project: str
    progress: Progress
    abort: Event
    results: SimpleQueue[Finished | None]
    parallel: int | None
    uploads: int
    random: Random
    first_wait: float = FIRST_WAIT
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Capacity:
    """What a sender can take on now.

    Attributes:
        messages: So many messages.
        max_bytes: And so many bytes of them, unless one alone has more.
        uploads: So many uploads.
        is_probe: Whether all of it is one probe: a message or, where none is due, an upload.
    """

    messages: int = 0
    max_bytes: int = 0
    uploads: int = 0
    is_probe: bool = False


class Sender:
    """A destination that is delivered to. The drain's main thread owns it.

    Attributes:
        destination: Where it leads.
        in_flight: The claims under way, by delivery id and fence: after a pause of the machine the leases have run out,
            and a drain may claim again what it has under way.
        closed: Why nothing more is sent there until a person has done something, else None.
        unread: Why what has to be read there first is put off, else None.
        breakers: Whether anything may be sent there now.
    """

    def __init__(self, destination: Destination, context: SenderContext) -> None:
        """Connect, and start the threads; without a client it is closed from the start.

        Raises:
            SettingsError: No client can be made for any destination.
        """
        self.destination = destination
        self.in_flight: dict[tuple[int, int], Claim] = {}
        self.closed: UploaderError | None = None
        self.unread: ReadRefused | None = None
        self._reads_refused = 0
        self._is_proven = False
        self._errors: dict[Lane, str] = {}
        self._clock = context.clock
        self.breakers = LaneBreakers(context.random, context.first_wait)
        self._concurrency = Concurrency(context.parallel)
        self._uploads = context.uploads
        self._lane_counts: Counter[Lane] = Counter()
        self._size = 0
        self._platform: Platform | None = None
        self._heartbeating: Heartbeating | None = None
        self._heartbeats: Heartbeats | None = None
        self._heads: HeadSending | None = None
        self._context = context
        self._pools: dict[Lane, WorkerPool[Claim, Finished | None]] = {}
        try:
            self._platform = context.connect(destination.platform, destination.base_url)
        except SettingsError:
            raise
        except UploaderError as error:
            self.closed = error
        else:
            self._heartbeating = _heartbeating_of(self._platform)
            widths: dict[Lane, int] = {"message": self._concurrency.allowed.width, "upload": context.uploads}
            self._pools = _worker_pools(destination, self._platform, widths, context)

    def capacity(self) -> Capacity:
        """Return what may be claimed now.

        Messages are claimed again when half of them are done: each time costs a transaction.
        """
        message, upload = self.breakers.states(self._clock())
        if self.closed or message == "open":
            return Capacity()
        space = BYTES_IN_FLIGHT - self._size
        if message == "half-open":  # a message goes beside an upload, which may be under way for long
            probes = int(not self._lane_counts["message"] and space > 0)
            return Capacity(probes, space, int(not self.in_flight and upload != "open"), is_probe=True)
        limit, sent = self._concurrency.allowed.ahead, self._lane_counts["message"]
        messages = limit - sent if 2 * sent <= limit and space > 0 else 0
        most = {"closed": self._uploads, "half-open": 1, "open": 0}[upload]
        return Capacity(messages, space, max(0, most - self._lane_counts["upload"]))

    def start(self, claims: Sequence[Claim]) -> None:
        """Have claims delivered."""
        for claim in claims:
            self.in_flight[claim.delivery_id, claim.fence] = claim
            self._lane_counts[claim.lane] += 1
            self._size += len(claim.body)
            self._pools[claim.lane].submit(claim)

    def finish(self, finished: Finished) -> None:
        """Note the result of an attempt."""
        self._let_go(finished.claim)
        lane, result, now = finished.claim.lane, finished.result, self._clock()
        self._is_proven = self._is_proven or isinstance(result, Receipt) or may_be_a_platforms(result)
        if lane == "message":
            self._adapt(finished, now)
        if isinstance(result, (Receipt, Refused)):
            self._errors.pop(lane, None)
            self.breakers.answered(lane, now)
            if finished.claim.kind in HEADS_AFTER and isinstance(result, Receipt):
                self.tell_heads(finished.claim.run.id)
        elif isinstance(result, ReadRefused):
            self._put_off(result)
        elif isinstance(result, CredentialsRefused):
            self.closed = result
        else:
            error = _as_failure(result)
            self.breakers.failed(lane, error, now)
            if self.breakers.state(lane, now) == "open":
                self._errors.setdefault(lane, str(error))

    def _adapt(self, finished: Finished, now: float) -> None:
        """Send more or fewer messages at once, as the answers and their times say."""
        before = self._concurrency.allowed
        is_busy = self._lane_counts["message"] + 1 >= before.width
        allowed = self._concurrency.after(finished.result, finished.seconds, now, is_busy=is_busy)
        if allowed[:2] != before[:2]:
            self._pools["message"].resize(allowed.width, allowed.rate)

    def tell_heads(self, run: str) -> None:
        """Have the platform told the heads of a run, if it keeps them."""
        platform, context = _keeping_heads(self._platform), self._context
        if self._heads is None and platform is not None:
            from uploader.delivery.head_sending import HeadSending  # most drains end no training
            from uploader.delivery.head_sources import head_source

            source = head_source(context.journal)
            self._heads = HeadSending(platform, self.destination.id, source, context.default_project)
        if self._heads is not None:
            self._heads.note(run)

    def _put_off(self, error: ReadRefused) -> None:
        """Go on with what needs no reading first: the key may be for writing only."""
        self.unread = error
        self._reads_refused += 1
        if self._reads_refused >= READS_REFUSED:
            self.closed = self.refused

    def withdraw(self) -> list[Claim]:
        """Withdraw the claims that no thread has begun."""
        claims = [claim for pool in self._pools.values() for claim in pool.withdraw()]
        for claim in claims:
            self._let_go(claim)
        return claims

    def _let_go(self, claim: Claim) -> None:
        del self.in_flight[claim.delivery_id, claim.fence]
        self._lane_counts[claim.lane] -= 1
        self._size -= len(claim.body)

    @property
    def refused(self) -> UploaderError | None:
        """Why nothing is sent there, or nothing that was tried was accepted; else None."""
        if self.closed or self.unread is None or self.breakers.host.reached:
            return self.closed
        return CredentialsRefused(self.unread.answer)

    @property
    def error(self) -> str | None:
        """Why the last messages or uploads that were tried are being delayed, else None."""
        return self._errors.get("message") or self._errors.get("upload")

    @property
    def is_held_up(self) -> bool:
        """Whether something is in the way of what goes there."""
        return bool(self._errors) or self.refused is not None

    @property
    def why_away(self) -> str | None:
        """Why the last messages that were tried are being delayed, or all that was tried; else None."""
        return self._errors.get("message") or (self.error if self.is_unreachable else None)

    @property
    def is_proven(self) -> bool:
        """Whether a platform may have heard of a run at this address, as far as this drain knows."""
        return self._is_proven or bool(self.in_flight)

    @property
    def paused(self) -> bool:
        """Whether nothing may be sent at this moment."""
        return self.closed is not None or self.breakers.state("message", self._clock()) == "open"

    @property
    def is_unreachable(self) -> bool:
        """Whether the host was probed often enough for a drain that does not watch."""
        host = self.breakers.host
        return host.unreachable > (MORE_PROBES if host.reached else 0)

    def paused_for(self, lane: Lane) -> float:
        """Return the seconds until the lane may be tried again; 0 when it may be now."""
        return max(0.0, self.breakers.resumes_at(lane) - self._clock())

    @property
    def wants_heartbeats(self) -> bool:
        """Whether the platform wants to hear that trainings are alive."""
        return self._heartbeating is not None

    def keep_alive(self, living: Sequence[RunIdentity]) -> None:
        """Send heartbeats for these runs when they are due and the platform can be reached."""
        if self._heartbeating is None or self.paused:
            return
        self._heartbeats = self._heartbeats or Heartbeats(
            self._heartbeating, f"drain-{self.destination.id}-heartbeats", self._clock
        )
        self._heartbeats.keep(living)

    def close(self, timeout: float) -> None:
        """End the threads, each within `timeout` seconds or left behind, and close idle connections."""
        if self._heartbeats is not None:
            self._heartbeats.close(timeout)
        if self._heads is not None:
            self._heads.close(timeout and max(timeout, HEADS_PATIENCE))
        for pool in self._pools.values():
            pool.join(timeout)
        if self._platform is not None:
            self._platform.close()


def _as_failure(error: Exception) -> DeliveryError:
    """Return an error as one that the breakers count: after a fault of our own, nobody knows what has arrived."""
    return error if isinstance(error, DeliveryError) else UnknownOutcome(str(error) or type(error).__name__)


def _heartbeating_of(platform: object) -> Heartbeating | None:
    return platform if isinstance(platform, Heartbeating) else None


def _keeping_heads(platform: object) -> KeepingHeads | None:
    return platform if isinstance(platform, KeepingHeads) else None


def _worker_pools(
    destination: Destination, platform: Platform, widths: Mapping[Lane, int], context: SenderContext
) -> dict[Lane, WorkerPool[Claim, Finished | None]]:
    deliverer = Deliverer(platform, context.blobs, context.default_project, context.progress, context.abort)
    return {
        lane: WorkerPool(f"drain-{destination.id}-{lane}", size, deliverer.attempt, context.results)
        for lane, size in widths.items()
    }
