"""Whose events are planned next, so that no run's backlog keeps another run waiting.

- Before anything is claimed, runs that the platform does not know yet are planned, in the order in which they were
  trained and until enough registrations wait; runs that it knows no more, and were resumed; and all runs that are being
  trained at this moment.
- When too little waits, all others are planned, a part of the backlog of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from journal.errors import StaleClaim
from journal.outbox.backlog import Selection
from journal.outbox.outbox import Outbox
from journal.records import Run, Target
from uploader.delivery.concurrency import MOST_AHEAD
from uploader.delivery.next_plan import plan_next, planning_for

BATCH = 256
"""Most events planned in one transaction, and of one kind of run in one go."""
WINDOW = MOST_AHEAD + BATCH
"""Most open deliveries of one run at one destination, so that memory and queries do not grow with the backlog. More are
planned as soon as fewer wait than a sender takes."""
PART = 64
"""Most events planned of one run in one transaction where others wait for their turn."""
FIRST_BATCH = 16
"""Most events planned in one transaction for a run that is not registered, until its registration is among them."""
REGISTRATIONS = 64
"""So many registrations wait at a time: enough for all threads, so that a thousand new runs cost no more than ten."""


class FairPlanner:
    """Plans the chosen runs' events, a part of one run after a part of another."""

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
        first = self._outbox.backlogs.first(
            destination_id, registrations=REGISTRATIONS, now=self._outbox.now(), run_ids=self._run_ids
        )
        looked_at = sum(self._plan(target, BATCH) for target in first.resumed)
        looked_at += sum(self._plan_registration(target) for target in first.new)
        return looked_at + sum(self._plan(target, BATCH) for target in first.live)

    def plan_next(self, destination_id: int) -> int:
        """Plan a part of each run whose turn it is; return how many events were looked at."""
        looked_at = 0
        for limit in (BATCH // PART, None):  # all of them only when the next ones rest, or have enough under way
            after = self._last.get(destination_id)
            behind = self._outbox.backlogs.behind(
                destination_id, "registered", run_ids=self._run_ids, after=after, limit=limit
            )
            part = max(PART, BATCH // max(1, len(behind)))
            for target in behind:
                self._last[destination_id] = target.run
                looked_at += self._plan(target, part)
                if looked_at >= BATCH:
                    return looked_at
            if looked_at or limit is None or len(behind) < limit:
                break
        return looked_at

    def _plan_registration(self, target: Target) -> int:
        """Plan a run until its registration is among it: no later run of its name is to be registered before."""
        looked_at = part = self._plan(target, FIRST_BATCH)
        behind = self._outbox.backlogs.behind
        while part == FIRST_BATCH and (left := behind(target.destination.id, "new", run_ids=[target.run.id])):
            part = self._plan(left[0], FIRST_BATCH)
            looked_at += part
        return looked_at

    def _plan(self, target: Target, limit: int) -> int:
        """Plan at most so many events of a run; return how many were looked at."""
        key = (target.run.id, target.destination.id)
        if self._clock() < self._rests.get(key, 0.0):
            return 0
        planning = planning_for(target.destination.platform)
        matter = Selection(planning.kinds, planning.roles, planning.context)
        window = WINDOW if target.state == "registered" else None  # until the registration is among what is planned
        unplanned = self._outbox.backlogs.read(target, limit, matter, most_open=window)
        if unplanned is None:
            return 0
        plan, looked_at = plan_next(unplanned, target, limit)
        if 0 < looked_at < limit:
            self._rests[key] = self._clock() + planning.rest_seconds
        try:
            now = self._outbox.now() if self._outbox.is_shared else None  # others claim by the server's clock
            self._outbox.plans.write(target, plan.deliveries, through=plan.through, stage=plan.stage, now=now)
        except StaleClaim:
            return 0  # another drain was faster, or a person dropped the target
        return looked_at
