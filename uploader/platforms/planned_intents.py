"""Planning what a person wants done on a platform: after all that was recorded before it, and in order. Pure.

Such an intent waits for what its run has to send, and nothing of the run waits for it: its stage is above all that
trainings reach. A platform's own planner does not see it; its client may be able to carry it out (`CarryingOut`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from journal.kinds import INTENTS
from journal.records import Event, PlannedDelivery
from uploader.platforms.plans import Plan, Planning
from uploader.platforms.registry import imported
from uploader.platforms.spec import PlatformSpec

AFTER_TRAINING = 1 << 40
"""Above the stage of anything that a training records."""

_Planner = Callable[[Sequence[Event], int, Sequence[Event], int], Plan]


def planning_of(spec: PlatformSpec) -> Planning:
    """Return how the events of runs become deliveries to a platform, intents among them."""
    own: Planning = imported(spec.planner)
    kinds = None if own.kinds is None else own.kinds | {*INTENTS}
    return replace(own, plan=_with_intents(own.plan), kinds=kinds)


def _with_intents(plan: _Planner) -> _Planner:
    def with_intents(events: Sequence[Event], stage: int, before: Sequence[Event], generation: int) -> Plan:
        trained = [event for event in events if event.kind not in INTENTS]
        made = plan(trained, stage, before, generation) if trained else Plan((), 0, stage)
        intents = [_delivery(event) for event in events if event.kind in INTENTS]
        return replace(made, deliveries=(*made.deliveries, *intents), through=events[-1].id)

    return with_intents


def _delivery(event: Event) -> PlannedDelivery:
    if not isinstance(json.loads(event.payload), dict):
        raise ValueError("no JSON object")
    stage = AFTER_TRAINING + 2 * event.id  # even, as what is no milestone has
    return PlannedDelivery(event.kind, "message", stage, event.id, event.id, event.payload, role=event.key)
