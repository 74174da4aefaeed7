"""Which of two events of a run is the later one: a property of the run, not of the order of arrival nor of a clock.

Sessions are ordered by their generation, a session's events by their number. An event may arrive late, because it was
in a fallback file or in another copy of the journal. If newer events have superseded it meanwhile, it is kept, and not
sent after them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, String, bindparam, text

from journal.kinds import CHECKPOINT, REGISTRATION, STATES, of
from journal.records import Event
from journal.schema.tables import rank


def newest_checkpoint(other: str) -> str:
    """Return the query for the id of the newest checkpoint of the run and role that the event `other` is of."""
    return f"""(SELECT newer.id FROM events newer JOIN sessions its ON its.id = newer.session_id
                WHERE newer.run_id = {other}.run_id AND newer.kind = '{CHECKPOINT}' AND newer.key = {other}.key
                ORDER BY {rank("newer", "its")} DESC, newer.id DESC LIMIT 1)"""  # noqa: S608 - names of this package


# Where sessions begin, in the order in which their events arrived in this journal.
_BEGINNINGS = text(
    """
    SELECT s.generation, min(e.id) AS first FROM sessions s JOIN events e ON e.session_id = s.id
    WHERE s.run_id = :run_id AND s.generation > :above AND s.purpose IS NULL
    GROUP BY s.generation
    """
)
_NEWER = text(
    """
    SELECT 1 FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id AND e.id < :id AND s.generation > :generation AND e.kind = :kind
      AND (CAST(:key AS TEXT) IS NULL OR e.key = :key)
      AND (NOT :by_role OR CASE WHEN :any_role THEN CAST(json_extract(e.payload, '$.publish') AS TEXT) = '1'
                                         ELSE e.key IN :roles END)
    LIMIT 1
    """
).bindparams(bindparam("roles", expanding=True, type_=String()))

# Within a session only events from a fallback file arrive out of order.
_TAKEN_IN = text(
    """
    SELECT DISTINCT f.session_id FROM fallback_imports f JOIN sessions s ON s.id = f.session_id
    WHERE s.run_id = :run_id
    """
)
_LATER_IN_SESSION = text(
    """
    SELECT 1 FROM events
    WHERE session_id = :session_id AND seq > :seq AND id < :id AND kind IN :kinds
      AND (CAST(:key AS TEXT) IS NULL OR key = :key)
    LIMIT 1
    """
).bindparams(bindparam("kinds", expanding=True))
_ANNOUNCED = text("SELECT 1 FROM events WHERE run_id = :run_id AND id < :id AND kind = :kind LIMIT 1")


def overtaken(
    connection: Connection, run_id: str, events: Sequence[Event], roles: Collection[str] | None
) -> frozenset[int]:
    """Return the ids of those events that newer ones, which arrived before them, have superseded.

    Args:
        connection: Any.
        run_id: Of all of them.
        events: In the order of their ids.
        roles: Roles of the checkpoints that matter; None for those that were published.
    """
    oldest = min((event.generation for event in events), default=0)
    beginnings = connection.execute(_BEGINNINGS, {"run_id": run_id, "above": oldest}).all()
    late = [
        event
        for event in events
        if any(generation > event.generation and first < event.id for generation, first in beginnings)
    ]
    old = {event.id for event in late if _is_old(connection, event, roles)}
    taken_in = set(connection.execute(_TAKEN_IN, {"run_id": run_id}).scalars())
    old.update(event.id for event in events if event.session_id in taken_in and _is_out_of_turn(connection, event))
    return frozenset(old)


def _is_old(connection: Connection, event: Event, roles: Collection[str] | None) -> bool:
    superseded_by = of(event.kind).superseded_by
    if superseded_by in {None, "session"}:
        return superseded_by is not None
    values = {
        "run_id": event.run_id,
        "id": event.id,
        "generation": event.generation,
        "kind": event.kind,
        "key": event.key if superseded_by == "key" else None,
        "by_role": superseded_by == "role",
        "any_role": roles is None,
        "roles": list(roles or ()),
    }
    return connection.execute(_NEWER, values).first() is not None


def _is_out_of_turn(connection: Connection, event: Event) -> bool:
    """Return whether a later event of its own session, about the same, arrived before it.

    The first start of a run is sent all the same, because it registers the run.
    """
    kind = of(event.kind)
    if kind.superseded_by in {None, "role"}:
        return False
    position = {"session_id": event.session_id, "seq": event.seq, "id": event.id}
    same = STATES if kind.tells_state else (event.kind,)
    what = {"kinds": list(same), "key": event.key if kind.superseded_by == "key" else None}
    if connection.execute(_LATER_IN_SESSION, {**position, **what}).first() is None:
        return False
    if event.kind != REGISTRATION:
        return True
    announced = {"run_id": event.run_id, "id": event.id, "kind": REGISTRATION}
    return connection.execute(_ANNOUNCED, announced).first() is not None


def generation_at(connection: Connection, run_id: str, event_id: int) -> int:
    """Return the generation of the run's last event up to an id, 0 where there is none."""
    return connection.execute(_GENERATION, {"run_id": run_id, "id": event_id}).scalar() or 0


_GENERATION = text(
    """
    SELECT s.generation FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id AND e.id <= :id ORDER BY e.id DESC LIMIT 1
    """
)
