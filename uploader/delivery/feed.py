"""The feed of the senders: plans what is not planned yet, claims what is due."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import NamedTuple

from journal.outbox.claims import HeldElsewhere, Wanted
from journal.outbox.outbox import Outbox
from journal.records import LANES, Claim, Known, Lane
from journal.sessions.liveness import host_name
from uploader.delivery.fair_planning import FairPlanner
from uploader.delivery.sender import BYTES_IN_FLIGHT, Capacity, Sender
from uploader.delivery.timing import Timing


class Outlook(NamedTuple):
    """What waits for a destination.

    Attributes:
        due: When the next delivery of each lane is due, if one is pending; it may be past.
        held: What other drains of a shared journal have claimed.
    """

    due: dict[Lane, datetime]
    held: tuple[HeldElsewhere, ...] = ()


class Feed:
    """Keeps senders busy with the chosen runs' deliveries.

    Attributes:
        news_within: How many seconds to wait at most before looking again at what waits.
    """

    news_within = math.inf

    def __init__(
        self,
        outbox: Outbox,
        run_ids: Sequence[str] | None,
        lease_seconds: float = Timing.lease,
        clock: Callable[[], float] = time.monotonic,
        *,
        default_project: str = "",
        owner_suffix: str = "",
    ) -> None:
        """Prepare.

        Args:
            outbox: The journal's.
            run_ids: The chosen runs; None for all.
            lease_seconds: How long a claim is ours without `renew`.
            clock: Seconds; never goes back.
            default_project: For runs that named none.
            owner_suffix: Tells this drain from others of the same process, where there may be some.
        """
        self._default_project = default_project
        self._outbox = outbox
        self._planner = FairPlanner(outbox, run_ids, clock)
        self._is_short: dict[int, bool] = {}
        self._claims_made = {lane: count() for lane in LANES}
        self._lease_seconds = lease_seconds
        self._may_be_copy = self._is_copy()
        self._known: dict[str, Known] = {}
        self._run_ids = run_ids
        self._owner = f"process {os.getpid()} on {host_name()}{owner_suffix}"

    def fill_all(self, senders: Sequence[Sender]) -> None:
        """Start as much as the senders have capacity for."""
        for sender in senders:
            self.fill(sender)

    def fill(self, sender: Sender) -> None:
        """Start as much as the sender has capacity for."""
        destination_id, capacity, has_asked = sender.destination.id, sender.capacity(), False
        while capacity.messages:
            planned = self._plan(destination_id)
            # What is planned next may replace an upload; and a message is to show first whether anything arrives.
            has_asked = not (planned or capacity.is_probe)
            claims = self._claim(destination_id, capacity if has_asked else replace(capacity, uploads=0))
            sender.start(claims)
            before, capacity = capacity, sender.capacity()
            if 2 * capacity.max_bytes < BYTES_IN_FLIGHT:  # no further ahead, for large ones
                break
            is_short = sum(claim.lane == "message" for claim in claims) < before.messages
            self._is_short[destination_id] = is_short or before.is_probe  # which does not tell how much waits
            if is_short and not planned:
                break
        if capacity.uploads and not has_asked:
            sender.start(self._claim(destination_id, replace(capacity, messages=0)))

    def may_fill(self, sender: Sender) -> bool:
        """Return whether the sender has capacity for messages, and more waited when it was last filled."""
        return not self._is_short.get(sender.destination.id, True) and sender.capacity().messages > 0

    def _plan(self, destination_id: int) -> int:
        """Plan what goes first, and a part of the backlog where too little waited; return how many events that were."""
        planned = self._planner.plan_first(destination_id)
        is_short = self._is_short.get(destination_id, True)
        return planned + (self._planner.plan_next(destination_id) if is_short else 0)

    def renew(self, claims: Sequence[Claim]) -> None:
        """Renew the leases of claims in flight."""
        self._outbox.claims.renew(claims, lease_seconds=self._lease_seconds, now=self._outbox.now())

    def let_go_of_unknown(self, held: Sequence[Claim]) -> None:
        """Free what is claimed for this drain and it knows nothing of: the journal was away when that was answered.

        Args:
            held: The claims in flight, and those of what is over and not written yet.
        """
        self._outbox.claims.let_go_of_unknown(self._owner, held, now=self._outbox.now())

    def outlook(self, sender: Sender) -> Outlook:
        """Return what waits for a sender's destination."""
        now, lease = self._outbox.now(), self._lease_seconds
        due = self._outbox.claims.next_due(sender.destination.id, now=now, run_ids=self._run_ids, lease_seconds=lease)
        return Outlook(due)

    def _is_copy(self) -> bool:
        """Return whether the journal may be an older copy, so that a platform may know more of a run than it does."""
        return self._outbox.copies.is_elsewhere()

    def _claim(self, destination_id: int, capacity: Capacity) -> list[Claim]:
        claims = self._outbox.claims.take(
            destination_id,
            *self._wanted(capacity),
            owner=self._owner,
            lease_seconds=self._lease_seconds,
            now=self._outbox.now(),
            run_ids=self._run_ids,
            default_project=self._default_project,
        )
        if not self._may_be_copy:
            return claims
        return [replace(claim, known=self._known_of(claim.run.id)) for claim in claims]

    def _wanted(self, capacity: Capacity) -> list[Wanted]:
        limits: dict[Lane, int] = {"message": capacity.messages, "upload": capacity.uploads}
        return [
            Wanted(
                lane,
                limit,
                max_bytes=capacity.max_bytes if lane == "message" else None,
                first_queue=next(self._claims_made[lane]),
                least_tried=lane == "message" and limit == 1,  # a probe
            )
            for lane, limit in limits.items()
            if limit
        ]

    def _known_of(self, run_id: str) -> Known:
        """Return what the journal held of a run when something of it was first claimed: then the platform is asked."""
        if run_id not in self._known:
            self._known[run_id] = self._outbox.copies.known(run_id)
        return self._known[run_id]
