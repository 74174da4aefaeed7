"""From events to deliveries: what is sent, joined how, and what has to wait for what. Pure.

The milestones `training_started`, `training_complete` and `training_failed` each have a stage of their own, and what
lies between two of them shares one, as far as it is of one session. A delivery waits for all lower stages of its run.
So a run is registered first and completed last, and in between metrics do not wait for a slow checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import journal
from journal.clock import from_text
from journal.losses import in_words
from journal.records import GIVEN_UP, INTERRUPTED, Event, PlannedDelivery

REGISTRATION = "training_started"
FAILED = "training_failed"
MILESTONES = frozenset({REGISTRATION, "training_complete", FAILED})
CHECKPOINT = "checkpoint"
FINAL = "final"
"""Role of the checkpoint that a training ends with; it is never given up for a newer one."""
CONSOLE = "console_output"
MESSAGES = frozenset({*MILESTONES, CONSOLE, "epoch_end", "system_metrics", "training_progress"})
"""Kinds of events that are sent as they are; what was given up is told as console text. Others stay in the journal."""

LONGEST_CONSOLE = 64 * 1024
"""Most bytes of console text in one delivery, unless a single event has more."""


@dataclass(frozen=True)
class Plan:
    """What becomes of a span of events.

    Attributes:
        deliveries: What is to be sent.
        through: Id of the last event that was looked at.
        stage: Stage of the last delivery, or the one given when there is none.
    """

    deliveries: tuple[PlannedDelivery, ...]
    through: int
    stage: int


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
    for group in _groups(events):
        stage = next_stage(stage, group[0].kind, is_other_session=generation not in {0, group[0].generation})
        generation = group[0].generation
        deliveries.append(_delivery(group, stage))
    return Plan(tuple(deliveries), events[-1].id, stage)


def next_stage(stage: int, kind: str, *, is_other_session: bool = False) -> int:
    """Return the stage of an event's delivery that follows one of stage `stage`: milestones are odd, the rest even.

    What two sessions tell of the same goes one after the other, also where no milestone lies between.
    """
    if kind in MILESTONES:
        return milestone(stage)
    return stage + 2 if is_other_session and stage % 2 == 0 else between(stage)


def milestone(stage: int) -> int:
    """Return the stage of a milestone that follows a delivery of stage `stage`."""
    return stage + 1 + stage % 2


def between(stage: int) -> int:
    """Return the stage of anything else that follows a delivery of stage `stage`."""
    return stage + stage % 2


def _groups(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events to send, those that go together in one list."""
    together: list[Event] = []
    size, grows, is_gapless = 0, False, True
    previous = events[0]
    for event in events:
        is_gapless, previous = is_gapless and _follows(event, previous), event
        told = _told(event)
        if not _is_sent(told):
            continue
        joins = _joins(told)
        length = len(told.payload.encode("utf-8", "surrogatepass")) if joins else 0
        if grows and joins and is_gapless and size + length <= LONGEST_CONSOLE:
            together.append(told)
            size += length
            continue
        if together:
            yield together
        together, size, grows, is_gapless = [told], length, joins, True
    if together:
        yield together


def _follows(event: Event, previous: Event) -> bool:
    """Return whether nothing can have been printed between two events that comes in later."""
    return event.session_id == previous.session_id and event.seq - previous.seq <= 1


def _joins(event: Event) -> bool:
    """Return whether an event is a chunk of console text as our own are; any other is sent as it is.

    Raises:
        ValueError: It is no JSON object.
    """
    content = json.loads(event.payload)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    is_text = isinstance(content.get("content"), str) and isinstance(content.get("lineCount"), int)
    return event.kind == CONSOLE and is_text


def _is_sent(event: Event) -> bool:
    if event.kind == CHECKPOINT:
        return bool(json.loads(event.payload).get("publish"))
    return event.kind in MESSAGES


def _told(event: Event) -> Event:
    """Return what the platform has no word for as what it has one for.

    An interrupted training has failed there, until it is resumed. A loss is a line of console text, the one place where
    the platform shows what a run has to say.
    """
    if event.kind == INTERRUPTED:
        return replace(event, kind=FAILED)
    if event.kind != GIVEN_UP:
        return event
    told = json.loads(event.payload)
    losses = ", ".join(map(in_words, told["items"]))
    # Other chunks count on from the millisecond in which their session began.
    chunk_id = int(from_text(event.created_at).timestamp() * 1000)
    content = f"Uploader: given up: {losses}, because {told['reason']}"
    payload = {"chunkId": chunk_id, "content": content, "lineCount": 1, "progress": {}}
    return replace(event, kind=CONSOLE, payload=journal.encode(payload))


def _delivery(group: Sequence[Event], stage: int) -> PlannedDelivery:
    first, last = group[0], group[-1]
    if first.kind == CHECKPOINT:
        file = json.loads(first.payload)
        return PlannedDelivery(
            CHECKPOINT, "upload", stage, first.id, last.id, first.payload, file["sha256"], file["role"]
        )
    body = first.payload if len(group) == 1 else journal.encode(_joined([json.loads(e.payload) for e in group]))
    return PlannedDelivery(first.kind, "message", stage, first.id, last.id, body)


def _joined(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join chunks of console text: known by the first one's id, with the progress bars as they were last."""
    return {
        **chunks[0],
        "content": "\n".join(chunk["content"] for chunk in chunks if chunk["content"]),
        "lineCount": sum(chunk["lineCount"] for chunk in chunks),
        "progress": chunks[-1].get("progress", {}),
    }
