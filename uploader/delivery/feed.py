"""From the journal to the senders: plans what is missing, claims what is due."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count

from journal.clock import utc_now
from journal.outbox.outbox import Outbox
from journal.records import LANES, Claim, Known, Lane
from journal.sessions.liveness import host_name
from uploader.delivery.fair_planning import FairPlanner
from uploader.delivery.sender import BYTES_UNDER_WAY, Sender
from uploader.delivery.timing import Timing


class Feed:
    """Keeps senders busy with the chosen runs' deliveries."""

    def __init__(
        self,
        outbox: Outbox,
        run_ids: Sequence[str] | None,
        lease_seconds: float = Timing.lease,
        clock: Callable[[], float] = time.monotonic,
        *,
        default_project: str = "",
    ) -> None:
        """Prepare.

        Args:
            outbox: The journal's.
            run_ids: The chosen runs; None for all.
            lease_seconds: How long a claim is ours without `renew`.
            clock: Seconds; never goes back.
            default_project: For runs that named none.
        """
        self._default_project = default_project
        self._outbox = outbox
        self._planner = FairPlanner(outbox, run_ids, clock)
        self._claims_made = {lane: count() for lane in LANES}
        self._lease_seconds = lease_seconds
        self._may_be_copy = outbox.is_elsewhere()
        self._known: dict[str, Known] = {}
        self._run_ids = run_ids
        self._owner = f"process {os.getpid()} on {host_name()}"

    def feed(self, sender: Sender) -> None:
        """Start as much as the sender has room for."""
        destination_id = sender.destination.id
        while (room := sender.room("message")) and (space := sender.space()) > 0:
            planned = self._planner.plan_first(destination_id)
            claims = self._claim(destination_id, "message", room, space)
            sender.start(claims)
            if 2 * sender.space() < BYTES_UNDER_WAY:  # no further ahead, for large ones
                break
            if len(claims) < room and not self._planner.plan_next(destination_id) + planned:
                break
        if room := sender.room("upload"):  # planned along with the messages around them
            sender.start(self._claim(destination_id, "upload", room))

    def renew(self, claims: Sequence[Claim]) -> None:
        """Keep claims that are under way ours."""
        self._outbox.renew(claims, lease_seconds=self._lease_seconds, now=utc_now())

    def next_due(self, sender: Sender, lane: Lane) -> datetime | None:
        """Return when the sender's next delivery of the lane is due, None when none waits; it may be past."""
        return self._outbox.next_due(sender.destination.id, lane=lane, now=utc_now(), run_ids=self._run_ids)

    def _claim(self, destination_id: int, lane: Lane, limit: int, max_bytes: int | None = None) -> list[Claim]:
        first = next(self._claims_made[lane])
        claims = self._outbox.claim(
            destination_id,
            lane=lane,
            limit=limit,
            owner=self._owner,
            lease_seconds=self._lease_seconds,
            now=utc_now(),
            run_ids=self._run_ids,
            max_bytes=max_bytes,
            first_queue=first,
            least_tried=lane == "message" and limit == 1,  # a probe
            default_project=self._default_project,
        )
        if not self._may_be_copy:
            return claims
        return [replace(claim, known=self._known_of(claim.run.id)) for claim in claims]

    def _known_of(self, run_id: str) -> Known:
        """Return what the journal held of a run when something of it was first claimed: then the platform is asked."""
        if run_id not in self._known:
            self._known[run_id] = self._outbox.known(run_id)
        return self._known[run_id]
