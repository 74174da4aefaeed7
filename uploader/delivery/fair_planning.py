"""Whose events are planned next, so that no run's backlog keeps another run waiting.

- Before anything is claimed, runs that the platform does not know yet are planned, in the order in which they were
  trained and until enough registrations wait; runs that it knows no more, and were resumed; and all runs that are being
  trained at this moment.
- When too little waits, all others are planned in turn, a part of the backlog of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from journal.clock import utc_now
from journal.errors import StaleClaim
from journal.outbox.outbox import Outbox
from journal.records import Run, Target
from uploader.delivery import next_plan
from uploader.delivery.next_plan import planning_for

WINDOW = 512
"""Most open deliveries of one run at one destination, so that memory and queries do not grow with the backlog."""
BATCH = 256
"""Most events planned in one transaction, and of one kind of run in one go."""
PART = 64
"""Most events planned of one run in one transaction where others wait for their turn."""
FIRST_BATCH = 16
"""Most events planned in one transaction for a run that is not registered, until its registration is among them."""
REGISTRATIONS = 64
"""So many registrations wait at a time: enough for all threads, so that a thousand new runs cost no more than ten."""


class FairPlanner:
    """Plans the chosen runs' events in turn."""

    def __init__(self, outbox: Outbox, run_ids: Sequence[str] | None, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            outbox: The journal's.
            run_ids: The chosen runs; None for all.
            clock: Seconds; never goes back.
        """
        self._outbox = outbox
        self._run_ids = run_ids
        self._clock = clock
        self._rests: dict[tuple[str, int], float] = {}
        self._last: dict[int, Run] = {}

    def plan_first(self, destination_id: int) -> int:
        """Plan what goes before any backlog; return how many events were looked at."""
        resumed = self._behind(destination_id, self._run_ids, "blocked")
        looked_at = sum(self._plan_target(target, BATCH) for target in resumed)
        return looked_at + self._plan_new(destination_id) + self._plan_live(destination_id)

    def plan_next(self, destination_id: int) -> int:
        """Plan a part of each run whose turn it is; return how many events were looked at."""
        looked_at = 0
        for limit in (BATCH // PART, None):  # all of them only when the next ones rest, or have enough under way
            after = self._last.get(destination_id)
            behind = self._behind(destination_id, self._run_ids, "registered", after=after, limit=limit)
            part = max(PART, BATCH // max(1, len(behind)))
            for target in behind:
                self._last[destination_id] = target.run
                looked_at += self._plan_target(target, part)
                if looked_at >= BATCH:
                    return looked_at
            if looked_at:
                break
        return looked_at

    def _plan_new(self, destination_id: int) -> int:
        """Plan runs that are not registered; return how many events were looked at."""
        waiting = self._outbox.registering(destination_id, run_ids=self._run_ids, now=utc_now())
        if waiting >= REGISTRATIONS:
            return 0
        behind = self._behind(destination_id, self._run_ids, "new", limit=REGISTRATIONS - waiting)
        return sum(map(self._plan_registration, behind))

    def _plan_registration(self, target: Target) -> int:
        """Plan a run until its registration is among it: no later run of its name is to be registered before."""
        looked_at = part = self._plan_target(target, FIRST_BATCH)
        while part == FIRST_BATCH and (behind := self._behind(target.destination.id, [target.run.id], "new")):
            part = self._plan_target(behind[0], FIRST_BATCH)
            looked_at += part
        return looked_at

    def _plan_live(self, destination_id: int) -> int:
        """Plan what runs have recorded that are being trained; return how many events were looked at."""
        live = self._outbox.live_runs(utc_now())
        chosen = live if self._run_ids is None else [run for run in live if run in self._run_ids]
        behind = self._behind(destination_id, chosen, "registered") if chosen else []
        return sum(self._plan_target(target, BATCH) for target in behind)

    def _behind(
        self,
        destination_id: int,
        run_ids: Sequence[str] | None,
        state: str,
        *,
        after: Run | None = None,
        limit: int | None = None,
    ) -> list[Target]:
        return self._outbox.targets(
            destination_id=destination_id, run_ids=run_ids, behind=True, state=state, after=after, limit=limit
        )

    def _plan_target(self, target: Target, limit: int) -> int:
        """Plan at most so many events of a run; return how many were looked at."""
        place = (target.run.id, target.destination.id)
        if self._clock() < self._rests.get(place, 0.0) or not self._has_room(target, limit):
            return 0
        plan, looked_at = next_plan.plan_next(self._outbox, target, limit)
        if 0 < looked_at < limit:
            self._rests[place] = self._clock() + planning_for(target.destination.platform).rest_seconds
        try:
            self._outbox.plan(target, plan.deliveries, through=plan.through, stage=plan.stage)
        except StaleClaim:
            return 0  # another drain was faster, or a person gave the target up
        return looked_at

    def _has_room(self, target: Target, events: int) -> bool:
        if target.state != "registered":  # until its registration is among what is planned
            return True
        return WINDOW - self._outbox.open_deliveries(target.run.id, target.destination.id) >= events
