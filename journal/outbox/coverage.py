"""Which events the deliveries of a target stand for, by the events' identities.

In a journal that has planned everything itself, `planned_through` tells that: no event up to it is planned again. What
was planned elsewhere comes in by the rows of its deliveries (`results_intake.py`), and the events that they stand for
may have any ids here. So in such a journal, planning asks for them. A delivery without a span stands for nothing: its
events are to be sent again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, text, update

from journal.encoding import encode
from journal.kinds import CONSOLE, EPOCH, EPOCHS_TOGETHER, GIVEN_UP
from journal.schema import tables

_D = tables.deliveries

TAKEN_IN = "results taken in"
"""Name of the fact that counts how often results of another journal came in, or what was sent was to be sent again.
Planning asks only where it is."""

# The joins are CROSS JOINs because SQLite keeps their order: for each delivery its events, by their identities. (ON
# is not for these in PostgreSQL, which chooses the order itself.) Left alone, SQLite may take each event and look at
# all deliveries. A span is `uuid number uuid number` (`journal.ids.span`). Of the events between its two ends the
# delivery has those of its kind; of others between them nothing is sent there.
_COVERED = f"""
    WITH d AS (
      SELECT id, kind, body, substr(span, 1, 36) AS session, CAST(round(substr(span, 38)) AS BIGINT) AS first,
             substr(span, 38 + instr(substr(span, 38), ' '), 36) AS last_session,
             CAST(round(substr(span, 38 + instr(substr(span, 38), ' ') + 37)) AS BIGINT) AS last
      FROM deliveries WHERE run_id = :run_id AND destination_id = :destination_id AND span IS NOT NULL
    )
    SELECT d.id AS delivery, e.id AS event, s.uuid, e.seq, e.kind, e.key, e.payload
    FROM d CROSS JOIN sessions s CROSS JOIN events e
    WHERE s.uuid = d.session AND e.session_id = s.id
      AND e.seq BETWEEN d.first AND CASE d.last_session WHEN d.session THEN d.last ELSE d.first END
      AND (e.seq = d.first OR (e.seq = d.last AND d.session = d.last_session)
           OR (d.kind = '{CONSOLE}' AND e.kind IN ('{CONSOLE}', '{GIVEN_UP}'))
           OR (d.kind = '{EPOCHS_TOGETHER}' AND e.kind = '{EPOCH}'
               AND EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(d.body) THEN d.body ELSE '{{}}' END,
                                                   '$.metrics') m WHERE m.key = e.key)))
    UNION ALL
    SELECT d.id, e.id, s.uuid, e.seq, e.kind, e.key, e.payload
    FROM d CROSS JOIN sessions s CROSS JOIN events e
    WHERE s.uuid = d.last_session AND e.session_id = s.id AND e.seq = d.last AND d.last_session != d.session
"""  # noqa: S608 - names of this package
_PLANNED = text(f"SELECT DISTINCT event FROM ({_COVERED}) covered WHERE event > :after")  # noqa: S608 - of this module
# Earlier versions planned by local ids, and wrote no spans.
_PLANNED_BY_IDS = text(
    """
    SELECT e.id FROM deliveries d
      CROSS JOIN events e
    WHERE e.id BETWEEN d.first_event AND d.last_event AND e.run_id = d.run_id
      AND d.run_id = :run_id AND d.destination_id = :destination_id AND d.span IS NULL AND d.state != 'superseded'
      AND e.id > :after
    """
)
_EVENTS = text(f"SELECT delivery, event FROM ({_COVERED}) covered")  # noqa: S608
_CONTENTS = text(
    f"SELECT delivery, uuid, seq, kind, key, payload FROM ({_COVERED}) covered ORDER BY delivery, uuid, seq"  # noqa: S608
)
_HEADS = text(
    f"""
    SELECT first_event FROM deliveries
    WHERE run_id = :run_id AND destination_id = :destination_id AND kind = '{CONSOLE}' AND state = 'superseded'
      AND span IS NULL
    """  # noqa: S608 - a constant of this package
)
_END = """
    coalesce((SELECT e.id FROM sessions s
              JOIN events e ON e.session_id = s.id AND e.seq = CAST(round({number}) AS BIGINT)
              WHERE s.uuid = {session}), 0)"""
_UNPLACED = "WHERE run_id = :run_id AND destination_id = :destination_id AND span IS NOT NULL AND first_event = 0"
_SECOND = "38 + instr(substr(span, 38), ' ')"
_LAST = _END.format(number=f"substr(span, {_SECOND} + 37)", session=f"substr(span, {_SECOND}, 36)")
_FIRST = _END.format(number="substr(span, 38)", session="substr(span, 1, 36)")
_PLACE = (
    text(f"UPDATE deliveries SET last_event = {_LAST} {_UNPLACED}"),  # noqa: S608
    text(f"UPDATE deliveries SET first_event = {_FIRST} {_UNPLACED} AND last_event != 0"),  # noqa: S608
)
_COUNT = text("SELECT value FROM facts WHERE name = :name").bindparams(name=TAKEN_IN)
_COUNT_ON = text(
    "INSERT INTO facts VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
).bindparams(name=TAKEN_IN)


def times_taken_in(connection: Connection) -> int:
    """Return how often results of another journal came in, or runs were sent again."""
    return int(connection.execute(_COUNT).scalar() or 0)


def count_taken_in(connection: Connection) -> None:
    """Note that results of another journal came in."""
    connection.execute(_COUNT_ON, {"value": str(times_taken_in(connection) + 1)})


def forget(connection: Connection, *chosen: ColumnElement[bool]) -> None:
    """Have deliveries that are superseded stand for no event any more, so that their events are planned again."""
    connection.execute(update(_D).where(_D.c.state == "superseded", *chosen).values(span=None))
    count_taken_in(connection)  # what a drain has read of it is no longer so, and it has to ask for `heads`


def heads(connection: Connection, run_id: str, destination_id: int) -> frozenset[int]:
    """Return the ids of the events that chunks of console text began with which are sent again.

    A platform keeps each under its first event's chunk id. So none of these events may be joined to one before it: its
    text would be there twice.
    """
    return frozenset(connection.execute(_HEADS, {"run_id": run_id, "destination_id": destination_id}).scalars())


def place(connection: Connection, run_id: str, destination_id: int) -> None:
    """Note the local ids of the events of deliveries that came in without, as far as these events are here."""
    for statement in _PLACE:
        connection.execute(statement, {"run_id": run_id, "destination_id": destination_id})


def planned_events(connection: Connection, run_id: str, destination_id: int, after: int) -> frozenset[int]:
    """Return the ids above one of the events that deliveries of a target stand for already."""
    values = {"run_id": run_id, "destination_id": destination_id, "after": after}
    found = [connection.execute(query, values).scalars() for query in (_PLANNED, _PLANNED_BY_IDS)]
    return frozenset(event for events in found for event in events)


def events_of(connection: Connection, run_id: str, destination_id: int) -> Mapping[int, frozenset[int]]:
    """Return the ids of the events that each delivery of a target stands for, by the delivery's id."""
    found: dict[int, set[int]] = {}
    for delivery, event in connection.execute(_EVENTS, {"run_id": run_id, "destination_id": destination_id}):
        found.setdefault(delivery, set()).add(event)
    return {delivery: frozenset(events) for delivery, events in found.items()}


def digests(connection: Connection, run_id: str, destination_id: int) -> dict[int, tuple[int, str]]:
    """Return, of each delivery of a target, how many events it stands for, and a digest of what these say.

    Two journals that have the same events of a delivery return the same; it tells an altered event with the number of
    another one.
    """
    values = {"run_id": run_id, "destination_id": destination_id}
    lines: dict[int, list[str]] = {}
    for delivery, *content in connection.execute(_CONTENTS, values):
        lines.setdefault(delivery, []).append(_line(content))
    return {
        delivery: (len(each), hashlib.sha256("".join(each).encode()).hexdigest()) for delivery, each in lines.items()
    }


def _line(content: Sequence[object]) -> str:
    return encode({"event": list(content)}) + "\n"
