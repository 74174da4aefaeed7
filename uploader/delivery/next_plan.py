"""Planning a run's next events as its platform's planner does. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache

from journal.kinds import EPOCH
from journal.metrics import REVISION
from journal.outbox.backlog import Unplanned
from journal.records import Event, PlannedDelivery, Target
from uploader.platforms.planned_intents import planning_of
from uploader.platforms.plans import Plan, Planning
from uploader.platforms.registry import DEFAULT, NAMES, spec_of


@cache
def planning_for(platform: str) -> Planning:
    """Return how runs are planned that go to a platform.

    Args:
        platform: Name of its API. One that this version does not know is planned like the default: nothing is sent to
            it, but what waits is counted.
    """
    return planning_of(spec_of(platform) if platform in NAMES else DEFAULT)


def plan_next(unplanned: Unplanned, target: Target, limit: int) -> tuple[Plan, int]:
    """Plan a target's next events. Pure.

    Args:
        unplanned: What `Backlogs.read` returned.
        target: The run at its destination.
        limit: At most so many events that matter there were read.

    Returns:
        The plan, and how many events that matter were looked at; fewer than `limit` are the whole backlog. Of large
        events fewer are planned, and are said to be `limit`.
    """
    events, last = unplanned.events, unplanned.last_event
    if not events:
        return Plan((), max(last, target.planned_through), target.stage), 0
    planning = planning_for(target.destination.platform)
    done = unplanned.planned | _older_versions(events)
    new = [event for event in events if event.id not in done]
    plan = _plan(planning, unplanned, target, [event for event in new if event.id not in unplanned.late])
    kept = tuple(_kept(planning, [event for event in new if event.id in unplanned.late], plan.stage))
    plan = replace(plan, deliveries=(*plan.deliveries, *kept), through=events[-1].id)
    if not unplanned.is_whole:
        return plan, limit
    return replace(plan, through=max(last, plan.through)), len(events)


def _older_versions(events: Sequence[Event]) -> set[int]:
    """Return the ids of those versions of a step that a later one of the same session, which tells all of it, replaces.

    A step is logged in several calls, and each is an event. Where none of them was sent yet, the last one is enough.
    """
    versions = [event for event in events if event.kind == EPOCH and f'"{REVISION}":' in event.payload]
    newest = {(event.session_id, event.key): event.id for event in versions}
    return {event.id for event in versions} - {*newest.values()}


def _plan(planning: Planning, unplanned: Unplanned, target: Target, events: Sequence[Event]) -> Plan:
    stage, before, generation = target.stage, unplanned.before, unplanned.generation
    if not events:
        return Plan((), target.planned_through, stage)
    if any(event.id in unplanned.heads for event in events):
        return _plan_apart(planning, unplanned, target, events)
    try:
        return planning.plan(events, stage, before, generation)
    except Exception:
        whole, whole_before = ([event for event in some if _is_whole(planning, event)] for some in (events, before))
        if len(whole) + len(whole_before) == len(events) + len(before):
            raise
    plan = planning.plan(whole, stage, whole_before, generation) if whole else Plan((), 0, stage)
    damaged = [_set_aside(event, plan.stage) for event in events if event not in whole]
    return Plan((*plan.deliveries, *damaged), events[-1].id, plan.stage)


def _plan_apart(planning: Planning, unplanned: Unplanned, target: Target, events: Sequence[Event]) -> Plan:
    """Plan events part by part, each of which begins with one that is not to be joined to those before it."""
    plan = Plan((), target.planned_through, target.stage)
    rest = replace(unplanned, heads=frozenset())
    for part in _parts(events, unplanned.heads):
        made = _plan(planning, rest, replace(target, stage=plan.stage), part)
        plan = replace(made, deliveries=(*plan.deliveries, *made.deliveries))
        seen = [*rest.before, *(event for event in part if event.kind in planning.context)]
        rest = replace(rest, before=seen, generation=part[-1].generation)
    return plan


def _parts(events: Sequence[Event], heads: frozenset[int]) -> Iterator[list[Event]]:
    part: list[Event] = []
    for event in events:
        if part and event.id in heads:
            yield part
            part = []
        part.append(event)
    if part:
        yield part


def _kept(planning: Planning, events: Sequence[Event], stage: int) -> Iterator[PlannedDelivery]:
    """Yield what would be sent of events that came too late for that, to be shown as superseded."""
    for event in events:
        with suppress(Exception):  # a damaged one has nothing to show
            for delivery in planning.plan([event], stage, (), 0).deliveries:
                yield replace(delivery, stage=stage, state="superseded")


def _is_whole(planning: Planning, event: Event) -> bool:
    try:
        planning.plan([event], 0, (), 0)
    except Exception:  # noqa: BLE001  whatever it is, it would be so again
        return False
    return True


def _set_aside(event: Event, stage: int) -> PlannedDelivery:
    """Return what the deliverer makes a dead letter of: its body is the damaged text as a string, and so no object."""
    return PlannedDelivery(event.kind, "message", stage, event.id, event.id, json.dumps(event.payload))
