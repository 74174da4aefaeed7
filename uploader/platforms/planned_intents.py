"""Planning what a person wants done on a platform: after all that was recorded before it, and in order. Pure.

Such an intent waits for what its run has to send, and nothing of the run waits for it: its stage is above all that
trainings reach. A platform's own planner does not see it; its client may be able to carry it out (`CarryingOut`), and
what that leaves there is the same on each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from journal.kinds import CONVERSION, DATASET, DETAIL, INTENTS
from journal.records import Event, PlannedDelivery
from uploader.platforms.base import conversion_key
from uploader.platforms.plans import Plan, Planning
from uploader.platforms.reading_back import Item
from uploader.platforms.registry import imported
from uploader.platforms.spec import PlatformSpec

AFTER_TRAINING = 1 << 40
"""Above the stage of anything that a training records."""

_ORDERED = ("queued", "starting", "running", "completed")
"""The states of a conversion that was ordered, and neither failed nor was given up."""
_TAKEN_IN = ("ready", "processing")

_Items = Callable[[PlannedDelivery], Iterable[Item]]
_Planner = Callable[[Sequence[Event], int, Sequence[Event], int], Plan]


def planning_of(spec: PlatformSpec) -> Planning:
    """Return how the events of runs become deliveries to a platform, intents among them."""
    own: Planning = imported(spec.planner)
    kinds = None if own.kinds is None else own.kinds | {*INTENTS}
    return replace(own, plan=_with_intents(own.plan), kinds=kinds, items=own.items and _with_items(own.items))


def _with_intents(plan: _Planner) -> _Planner:
    def with_intents(events: Sequence[Event], stage: int, before: Sequence[Event], generation: int) -> Plan:
        trained = [event for event in events if event.kind not in INTENTS]
        made = plan(trained, stage, before, generation) if trained else Plan((), 0, stage)
        intents = [_delivery(event) for event in events if event.kind in INTENTS]
        return replace(made, deliveries=(*made.deliveries, *intents), through=events[-1].id)

    return with_intents


def _with_items(items: _Items) -> _Items:
    def with_items(delivery: PlannedDelivery) -> Iterable[Item]:
        if delivery.kind not in INTENTS:
            return items(delivery)
        return _items(delivery, json.loads(delivery.body))

    return with_items


def _items(delivery: PlannedDelivery, wanted: Mapping[str, Any]) -> Iterator[Item]:
    """Yield what is there once it was carried out."""
    if delivery.kind == DETAIL:
        yield Item("detail", str(delivery.role), wanted)
    elif delivery.kind == CONVERSION:
        args = wanted.get("args") or {}
        order = {"format": wanted["format"], "args": args, "status": _ORDERED}
        yield Item("conversion", conversion_key(wanted["format"], args), order)
    elif delivery.kind == DATASET:
        file = {wanted["sha256"]: wanted["filename"]}
        yield Item("dataset", wanted["dataset"], {"status": _TAKEN_IN, "files": file})
        yield Item("detail", DATASET, {"dataset": wanted["dataset"], "sha256": wanted["sha256"]})


def _delivery(event: Event) -> PlannedDelivery:
    if not isinstance(json.loads(event.payload), dict):
        raise ValueError("no JSON object")
    stage = AFTER_TRAINING + 2 * event.id  # even, as what is no milestone has
    return PlannedDelivery(event.kind, "message", stage, event.id, event.id, event.payload, role=event.key)
