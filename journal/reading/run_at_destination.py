"""What a journal holds of one run, and what became of it at one destination, for comparison with what is there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import CHECKPOINT, COMPLETE, FAILED, INTENTS, listed
from journal.outbox import coverage, verifications
from journal.outbox.targets import targets
from journal.outbox.verifications import Seen
from journal.records import CANCELLED, Event, State, Target
from journal.retention import prunable
from journal.schema.tables import RANK

_ALIVE: Sequence[State] = ("delivered", "claimed", "pending", "dead", "dropped", "superseded")
"""The states of a delivery, what is true of an event if any delivery of it is so first."""

_EVENTS = text(
    f"""
    SELECT e.id, e.run_id, e.session_id, e.kind, e."key", e.payload, e.created_at, e.seq, s.generation
    FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id ORDER BY {RANK}, e.id
    """  # noqa: S608 - a constant of `tables`
)
_DELIVERIES = text(
    f"""
    SELECT id, state, last_error, span, first_event, last_event,
           CASE state WHEN 'delivered' THEN settled_at END AS arrived_at,
           CASE WHEN state = 'delivered' AND kind IN ({listed(INTENTS)}) AND json_valid(receipt)
             THEN receipt END AS answer
    FROM deliveries
    WHERE run_id = :run_id AND destination_id = :destination_id ORDER BY settled_at DESC
    """  # noqa: S608 - names of this package
)
_MARK = text(
    """
    SELECT (SELECT max(id) FROM events WHERE run_id = :run_id), count(*), max(settled_at),
           count(CASE WHEN state = 'delivered' THEN 1 END), count(CASE WHEN state IN ('pending', 'claimed') THEN 1 END),
           (SELECT planned_through FROM targets WHERE run_id = :run_id AND destination_id = :destination_id)
    FROM deliveries WHERE run_id = :run_id AND destination_id = :destination_id
    """
)
_GAPS = text(
    """
    SELECT count(*) FROM sessions s
    WHERE s.run_id = :run_id AND (
      (s.parent IS NOT NULL AND s.parent NOT IN (SELECT uuid FROM sessions WHERE run_id = :run_id AND uuid IS NOT NULL))
      OR (SELECT count(*) < coalesce(max(e.seq), 0) FROM events e WHERE e.session_id = s.id))
    """
)
_REMOVED = text(
    f"""
    SELECT b.sha256 FROM blobs b WHERE b.state = 'removed' AND EXISTS (
      SELECT 1 FROM events e WHERE e.run_id = :run_id AND e.kind = '{CHECKPOINT}'
        AND json_extract(e.payload, '$.sha256') = b.sha256 || '')
    """  # noqa: S608 - a constant of `kinds`
)
# Where a platform has taken a session's end, and only afterwards says that it is cancelled, no training was stopped.
# Of a delivery that was sent again since, it is not known any more when it was taken, but what was answered.
_CANCELLED = text(
    f"""
    SELECT g.session_id FROM signals g
    WHERE g.run_id = :run_id AND g.destination_id = :destination_id AND g.kind = '{CANCELLED}'
      AND NOT EXISTS (
        SELECT 1 FROM events e JOIN deliveries d ON d.first_event = e.id AND d.destination_id = g.destination_id
        WHERE e.session_id = g.session_id AND e.kind IN ({listed((COMPLETE, FAILED))}) AND e.created_at < g.created_at
          AND json_valid(d.receipt) AND coalesce(CAST(json_extract(d.receipt, '$.cancelled') AS TEXT), '0') = '0'
          AND (d.state = 'superseded' OR (d.state = 'delivered' AND d.settled_at < g.created_at)))
    """  # noqa: S608 - names of this package
)


@dataclass(frozen=True)
class Sent:
    """What became of an event at a destination.

    Attributes:
        state: Of the delivery that got furthest, the last of these.
        delivery_id: Its row.
        error: Why it has not arrived, as far as that is known.
        arrived_at: When it arrived for the last time, ISO, if it has.
        answer: What the platform answered to what a person wants, if it was done.
    """

    state: State
    delivery_id: int
    error: str | None
    arrived_at: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunAtDestination:
    """A run as the journal has it, for one of its destinations.

    Attributes:
        target: The run and the destination.
        known: How much of the journal this is.
        events: All of them, in the order of the run, whenever they came in.
        sent: What became of them there, by the event's id; one that is absent was not planned, or is not sent there.
        removed: Digests of the run's checkpoints whose bytes are gone from here.
        is_whole: Whether the journal has every event that the run's sessions recorded, so that the destination can have
            no others.
        is_pruned: Whether events were deleted after they had arrived.
        cancelled: The sessions, by their local ids, that the platform has told to stop before it had taken their end.
        mark: Changes whenever any of this does.
    """

    target: Target
    known: Seen
    events: Sequence[Event]
    sent: Mapping[int, Sent]
    removed: Collection[str]
    is_whole: bool
    is_pruned: bool
    cancelled: Collection[int]
    mark: tuple[object, ...] = ()


def run_at_destination(connection: Connection, target: Target, now: datetime) -> RunAtDestination:
    """Return what the journal holds of a run, and what became of it at one destination.

    Args:
        connection: In one transaction, so that it is of one moment.
        target: The run and the destination.
        now: The current time.
    """
    run_id, destination_id = target.run.id, target.destination.id
    values = {"run_id": run_id, "destination_id": destination_id}
    is_pruned = run_id in prunable.pruned(connection)
    [current] = targets(connection, [run_id], destination_id=destination_id, dropped=True)
    return RunAtDestination(
        current,
        verifications.seen(connection, run_id, destination_id, now),
        [Event(*row) for row in connection.execute(_EVENTS, values)],
        _sent(connection, values),
        set(connection.execute(_REMOVED, values).scalars()),
        not is_pruned and not connection.execute(_GAPS, values).scalar_one(),
        is_pruned,
        set(connection.execute(_CANCELLED, values).scalars()),
        mark(connection, target),
    )


def mark(connection: Connection, target: Target) -> tuple[object, ...]:
    """Return what changes whenever the run's events, or its deliveries there, do."""
    values = {"run_id": target.run.id, "destination_id": target.destination.id}
    return tuple(connection.execute(_MARK, values).one())


def _sent(connection: Connection, values: Mapping[str, object]) -> dict[int, Sent]:
    """Return what became of the events, by id."""
    covered = coverage.events_of(connection, str(values["run_id"]), int(str(values["destination_id"])))
    found: dict[int, Sent] = {}
    for row in connection.execute(_DELIVERIES, values):
        answer = json.loads(row.answer) if row.answer else {}
        sent = Sent(row.state, row.id, row.last_error, row.arrived_at, answer if isinstance(answer, dict) else {})
        of_ids = () if row.span else range(row.first_event, row.last_event + 1)  # an earlier version planned it
        for event in covered.get(row.id, of_ids):
            known = found.get(event)
            if known is None or _ALIVE.index(sent.state) < _ALIVE.index(known.state):
                found[event] = sent
    return found
