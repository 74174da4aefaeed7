"""Deliveries of one target that stand for the same events, because they were planned in two journals.

Console text is joined as it comes, so two journals may divide it otherwise. Of deliveries that overlap, what arrived
holds; of those that wait, what was attempted, then what was planned first. The others are superseded, and events that
only they stood for are planned again. Which of them hold does not depend on which journal came in first.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, case, exists, select, update

from journal.clock import now_text
from journal.kinds import FINAL
from journal.outbox import coverage
from journal.schema import tables

_D = tables.deliveries
_E = tables.events
_S = tables.sessions
_T = tables.targets


def settle(connection: Connection, run_id: str, destination_id: int) -> frozenset[int]:
    """Leave one open delivery, or one that arrived, for each event of a target.

    Args:
        connection: In a write transaction.
        run_id: Uuid of the run.
        destination_id: Where to.

    Returns:
        The ids of events that are to be planned again.
    """
    held: set[int] = set()
    left: set[int] = set()
    rows = _rows(connection, run_id, destination_id)
    events = coverage.events_of(connection, run_id, destination_id)
    for row in rows:
        own = events.get(row.id, frozenset())
        if row.state != "pending" or not own & held:
            held |= own
        elif own <= held:
            _supersede(connection, row.id)
        elif row.attempts:  # it may have arrived, so it is sent under its own id
            held |= own
        else:
            _supersede(connection, row.id)
            coverage.forget(connection, _D.c.id == row.id)
            left |= own
    supersede_old_uploads(connection, run_id, destination_id)
    if left - held:
        plan_again(connection, run_id, destination_id, min(left - held) - 1)
    return frozenset(left - held)


def plan_again(connection: Connection, run_id: str, destination_id: int, through: int) -> None:
    """Have a target's events above an id planned again, as far as no delivery stands for them."""
    here = (_T.c.run_id == run_id, _T.c.destination_id == destination_id)
    connection.execute(update(_T).where(*here, _T.c.planned_through > through).values(planned_through=through))


def supersede_old_uploads(connection: Connection, run_id: str, destination_id: int) -> None:
    """Supersede uploads that wait and are older than one that arrived or is open, in the order of the run."""
    here = (_D.c.run_id == run_id, _D.c.destination_id == destination_id, _D.c.lane == "upload")
    own, its = _E.alias(), _S.alias()
    newer, newer_event, newer_session = _D.alias(), _E.alias(), _S.alias()
    place = (
        select(tables.run_order(own, its))
        .where(own.c.id == _D.c.first_event, its.c.id == own.c.session_id)
        .correlate(_D)
        .scalar_subquery()
    )
    is_old = exists().where(
        newer.c.run_id == run_id,
        newer.c.destination_id == destination_id,
        newer.c.lane == "upload",
        newer.c.state.in_(("pending", "claimed", "delivered")),
        newer_event.c.id == newer.c.first_event,
        newer_session.c.id == newer_event.c.session_id,
        tables.run_order(newer_event, newer_session) > place,
    )
    gone = {"state": "superseded", "settled_at": now_text()}
    connection.execute(update(_D).where(*here, _D.c.state == "pending", _D.c.role != FINAL, is_old).values(gone))


def _rows(connection: Connection, run_id: str, destination_id: int) -> list[Row[Any]]:
    """Return the deliveries that may hold, the first of which hold before the others."""
    arrived = case((_D.c.state == "delivered", 0), (_D.c.state == "claimed", 1), else_=2)
    return list(
        connection.execute(
            select(_D.c.id, _D.c.state, _D.c.attempts)
            .where(_D.c.run_id == run_id, _D.c.destination_id == destination_id)
            .where(_D.c.state.in_(("delivered", "claimed", "pending")), _D.c.span.is_not(None))
            .order_by(arrived, _D.c.attempts == 0, _D.c.created_at, _D.c.chunk_id)
        )
    )


def _supersede(connection: Connection, delivery_id: int) -> None:
    gone = {"state": "superseded", "settled_at": now_text()}
    connection.execute(update(_D).where(_D.c.id == delivery_id).values(gone))
