"""Which events Ultralytics Platform is sent, and how they are joined. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from journal.clock import from_text
from journal.encoding import encode
from journal.kinds import (
    CHECKPOINT,
    COMPLETE,
    CONSOLE,
    EPOCH,
    FAILED,
    GIVEN_UP,
    INTERRUPTED,
    MEDIA,
    MILESTONES,
    PROGRESS,
    SYSTEM_METRICS,
)
from journal.losses import in_words
from journal.metrics import REVISION, SOURCE
from journal.records import Event, PlannedDelivery
from uploader.console_chunks import chunk_payload, joined
from uploader.platforms.plans import Plan, Planning
from uploader.platforms.stages import next_stage
from uploader.platforms.ultralytics.items import items_of

MESSAGES = frozenset({*MILESTONES, CONSOLE, EPOCH, SYSTEM_METRICS, PROGRESS, MEDIA})
"""Kinds of events that are sent as they are. Losses are sent as console text; all others stay in the journal."""

_ENDS = frozenset({COMPLETE, FAILED})

LONGEST_CONSOLE = 64 * 1024
"""Most bytes of console text in one delivery, unless a single event has more."""


def plan(events: Sequence[Event], stage: int, generation: int = 0) -> Plan:
    """Plan the next events of one run.

    Args:
        events: In order, at least one; the first follows the last one planned.
        stage: Stage of the last planned delivery of the run, 0 when there is none.
        generation: Of the session that the last event before them is of, 0 when there is none.

    Raises:
        Exception: One of them is damaged.
    """
    deliveries = []
    before_end: int | None = None
    for group in _groups(events):
        if before_end is not None and _is_salvaged(group[0]):
            deliveries.append(_delivery(group, before_end))
            continue
        stage = next_stage(stage, group[0].kind, is_other_session=generation not in {0, group[0].generation})
        generation = group[0].generation
        before_end = stage - 1 if group[0].kind in _ENDS else None
        deliveries.append(_delivery(group, stage))
    return Plan(tuple(deliveries), events[-1].id, stage)


def _is_salvaged(event: Event) -> bool:
    """Return whether an event is of an epoch that was taken in, maybe after the training's end was recorded.

    Then it goes before the end, which is the last that a platform hears of.
    """
    is_marked = event.kind == EPOCH and f'"{SOURCE}"' in event.payload
    return is_marked and isinstance(json.loads(event.payload).get(SOURCE), str)


def _groups(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events to send, those that are sent together in one list."""
    together: list[Event] = []
    size, grows, is_gapless = 0, "", True
    previous = events[0]
    for event in events:
        is_gapless, previous = is_gapless and _follows(event, previous), event
        sent = _translated(event)
        if not _is_sent(sent):
            continue
        joins = _joins(sent)
        length = len(sent.payload.encode("utf-8", "surrogatepass")) if joins == CONSOLE else 0
        if joins and joins == grows and is_gapless and size + length <= LONGEST_CONSOLE:
            together.append(sent)
            size += length
            continue
        if together:
            yield together
        together, size, grows, is_gapless = [sent], length, joins, True
    if together:
        yield together


def _follows(event: Event, previous: Event) -> bool:
    """Return whether no event between these two can still come in."""
    return event.session_id == previous.session_id and event.seq - previous.seq <= 1


def _joins(event: Event) -> str:
    """Return what an event may be sent together with, "" for one that is sent as it is.

    Chunks of console text in our format are joined. Of samples of the machine the platform keeps the newest one.

    Raises:
        ValueError: Its payload is not a JSON object.
    """
    content = json.loads(event.payload)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    is_text = isinstance(content.get("content"), str) and isinstance(content.get("lineCount"), int)
    return event.kind if event.kind == SYSTEM_METRICS or (event.kind == CONSOLE and is_text) else ""


def _is_sent(event: Event) -> bool:
    if event.kind == CHECKPOINT:
        return bool(json.loads(event.payload).get("publish"))
    return event.kind in MESSAGES


def _translated(event: Event) -> Event:
    """Translate an event that the platform does not know into one that it does.

    An interrupted training counts as failed there until it is resumed. A loss becomes a line of console text, the only
    place where the platform can show it.
    """
    if event.kind == INTERRUPTED:
        return replace(event, kind=FAILED)
    if event.kind != GIVEN_UP:
        return event
    loss = json.loads(event.payload)
    losses = ", ".join(map(in_words, loss["items"]))
    # Other chunks count on from the millisecond in which their session began.
    chunk_id = int(from_text(event.created_at).timestamp() * 1000)
    content = f"Uploader: given up: {losses}, because {loss['reason']}"
    return replace(event, kind=CONSOLE, payload=encode(chunk_payload(chunk_id, content, 1, {})))


def _delivery(group: Sequence[Event], stage: int) -> PlannedDelivery:
    first, last = group[0], group[-1]
    if first.kind == CHECKPOINT:
        file = json.loads(first.payload)
        return PlannedDelivery(
            CHECKPOINT, "upload", stage, first.id, last.id, first.payload, file["sha256"], file["role"]
        )
    if first.kind == MEDIA or (first.kind == EPOCH and f'"{REVISION}":' in first.payload):
        role = f"{first.kind} {first.key}"  # versions go one after the other
        return PlannedDelivery(first.kind, "message", stage, first.id, last.id, first.payload, role=role)
    is_joined = first.kind == CONSOLE and len(group) > 1
    body = encode(joined([json.loads(e.payload) for e in group])) if is_joined else last.payload
    return PlannedDelivery(first.kind, "message", stage, first.id, last.id, body)


PLANNING = Planning(lambda events, stage, _, generation: plan(events, stage, generation), items=items_of)
