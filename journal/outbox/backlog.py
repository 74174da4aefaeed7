"""Reading the events that no delivery was planned for yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from journal.records import Event
from journal.schema import tables

BYTES_AT_ONCE = 8 << 20
"""Events are read until their payloads come to so many characters, so that memory does not grow with large ones."""

_E = tables.events
_EVENTS = select(_E, tables.sessions.c.generation).join(tables.sessions, tables.sessions.c.id == _E.c.session_id)


@dataclass(frozen=True)
class Backlog:
    """The next events of a run.

    Attributes:
        events: In order.
        is_whole: Whether there were no more.
    """

    events: Sequence[Event]
    is_whole: bool


def read(connection: Connection, run_id: str, after: int, limit: int, kinds: Collection[str] | None) -> Backlog:
    """Return the run's next events above an id; see `Outbox.backlog`."""
    query = _EVENTS.where(_E.c.run_id == run_id, _E.c.id > after).order_by(_E.c.id).limit(limit)
    if kinds is not None:
        query = query.where(_E.c.kind.in_(kinds))
    events, size = [], 0
    with connection.execute(query) as rows:  # one that is not closed keeps its row, and the log from being folded
        for row in rows:
            events.append(Event(*row))
            size += len(events[-1].payload)
            if size >= BYTES_AT_ONCE:
                return Backlog(events, is_whole=False)
    return Backlog(events, is_whole=len(events) < limit)


def last_event(connection: Connection, run_id: str) -> int:
    """Return the id of the run's newest event, 0 when it has none."""
    return connection.execute(select(func.max(_E.c.id)).where(_E.c.run_id == run_id)).scalar_one() or 0


def newest_events(connection: Connection, run_id: str, kind: str, through: int, limit: int) -> list[Event]:
    """Return the run's newest events of a kind with ids up to `through`, in order, at most `limit`."""
    query = _EVENTS.where(_E.c.run_id == run_id, _E.c.kind == kind, _E.c.id <= through)
    found = connection.execute(query.order_by(_E.c.id.desc()).limit(limit))
    return [Event(*row) for row in found][::-1]
