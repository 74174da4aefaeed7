"""From the journal to the channels: plans what is missing, claims what is due."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from journal.clock import utc_now
from journal.errors import StaleClaim
from journal.liveness import host_name
from journal.outbox import Outbox
from journal.records import Claim, Lane, Target
from uploader.drain.channel import BYTES_UNDER_WAY, Channel
from uploader.drain.pace import Pace
from uploader.drain.planning import plan_next, planning_for

WINDOW = 512
"""Most open deliveries of one run at one destination, so that memory and queries do not grow with the backlog."""
BATCH = 256
"""Most events planned in one transaction, and in one go over all runs."""
FIRST_BATCH = 16
"""Most events planned in one transaction for a run that is not registered, until its registration is among them."""


class Feeder:
    """Keeps channels busy with the chosen runs' deliveries."""

    def __init__(
        self,
        outbox: Outbox,
        run_ids: Sequence[str] | None,
        lease_seconds: float = Pace.lease,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            outbox: The journal's.
            run_ids: The chosen runs; None for all.
            lease_seconds: How long a claim is ours without `renew`.
            clock: Seconds; never goes back.
        """
        self._outbox = outbox
        self._clock = clock
        self._rests: dict[tuple[str, int], float] = {}
        self._lease_seconds = lease_seconds
        self._run_ids = run_ids
        self._owner = f"process {os.getpid()} on {host_name()}"

    def feed(self, channel: Channel) -> None:
        """Start as much as the channel has room for."""
        destination_id = channel.destination.id
        while (room := channel.room("message")) and (space := channel.space()) > 0:
            claims = self._claim(destination_id, "message", room, space)
            channel.start(claims)
            if 2 * channel.space() < BYTES_UNDER_WAY:  # no further ahead, for large ones
                break
            if len(claims) < room and not self._plan(destination_id):
                break
        if room := channel.room("upload"):  # planned along with the messages around them
            channel.start(self._claim(destination_id, "upload", room))

    def renew(self, claims: Sequence[Claim]) -> None:
        """Keep claims that are under way ours."""
        self._outbox.renew(claims, lease_seconds=self._lease_seconds, now=utc_now())

    def next_due(self, channel: Channel, lane: Lane) -> datetime | None:
        """Return when the channel's next delivery of the lane is due, None when none waits; it may be past."""
        return self._outbox.next_due(channel.destination.id, lane=lane, now=utc_now(), run_ids=self._run_ids)

    def _claim(self, destination_id: int, lane: Lane, limit: int, max_bytes: int | None = None) -> list[Claim]:
        return self._outbox.claim(
            destination_id,
            lane=lane,
            limit=limit,
            owner=self._owner,
            lease_seconds=self._lease_seconds,
            now=utc_now(),
            run_ids=self._run_ids,
            max_bytes=max_bytes,
        )

    def _plan(self, destination_id: int) -> bool:
        """Plan further events; return whether there were any to plan now."""
        looked_at = 0
        behind = self._outbox.targets(destination_id=destination_id, run_ids=self._run_ids, behind=True)
        for target in behind:
            looked_at += self._plan_target(target)
            if looked_at >= BATCH:
                break
        return looked_at > 0

    def _plan_target(self, target: Target) -> int:
        limit = self._room(target)
        place = (target.run.id, target.destination.id)
        if limit <= 0 or self._clock() < self._rests.get(place, 0.0):
            return 0
        plan, looked_at = plan_next(self._outbox, target, limit)
        if 0 < looked_at < limit:
            self._rests[place] = self._clock() + planning_for(target.destination.platform).rest_seconds
        try:
            self._outbox.plan(target, plan.deliveries, through=plan.through, stage=plan.stage)
        except StaleClaim:
            return 0  # another drain was faster, or a person gave the target up
        return looked_at

    def _room(self, target: Target) -> int:
        """Return how many events of a run may be planned now."""
        if target.state == "blocked":
            return 0
        if target.state == "new":
            return FIRST_BATCH
        free = WINDOW - self._outbox.open_deliveries(target.run.id, target.destination.id)
        return BATCH if free >= BATCH else 0
