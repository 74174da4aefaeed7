"""Dropping a destination of runs, as when its server is gone for good, and restoring it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update

from journal.clock import now_text
from journal.errors import UnknownRow
from journal.outbox.redelivery import send_after_all
from journal.outbox.targets import unblock
from journal.schema import tables

_D = tables.deliveries
_T = tables.targets


@dataclass(frozen=True)
class Dropped:
    """What was dropped.

    Attributes:
        runs: Runs that no longer go there.
        deliveries: Deliveries that had not arrived; their rows stay, as `dropped`.
    """

    runs: int
    deliveries: int


def drop_destination(connection: Connection, destination_id: int, run_ids: Sequence[str] | None) -> Dropped:
    """Drop what has not arrived at a destination, and plan nothing more for it.

    A drain that has some of it under way meanwhile finds its claims overtaken.

    Args:
        connection: In a write transaction.
        destination_id: Where to.
        run_ids: Only these runs; None for all.

    Raises:
        UnknownRow: None of the runs goes there.
    """
    here: ColumnElement[bool] = _T.c.destination_id == destination_id
    if run_ids is not None:
        here = here & _T.c.run_id.in_(run_ids)
    runs = connection.execute(select(_T.c.run_id).where(here, _T.c.dropped_at.is_(None))).scalars().all()
    if not runs:
        raise UnknownRow("none of these runs goes there")
    now = now_text()
    left = (
        _D.c.destination_id == destination_id,
        _D.c.run_id.in_(runs),
        _D.c.state.in_(("pending", "claimed", "dead")),
    )
    values = {"state": "dropped", "settled_at": now, "owner": None, "lease_until": None}
    dropped = connection.execute(update(_D).where(*left).values(values)).rowcount
    connection.execute(update(_T).where(here, _T.c.run_id.in_(runs)).values(dropped_at=now))
    return Dropped(len(runs), dropped)


def unbind(connection: Connection, run_id: str, destination_id: int) -> bool:
    """Forget that a run goes to a destination where nobody has taken anything of it; return whether that was so."""
    target = (_T.c.run_id == run_id, _T.c.destination_id == destination_id)
    here = (_D.c.run_id == run_id, _D.c.destination_id == destination_id)
    taken = exists().where(*here, _D.c.state == "delivered")
    if not connection.execute(select(_T.c.run_id).where(*target, _T.c.ids == "{}", ~taken)).first():
        return False
    attempts = tables.attempts
    connection.execute(delete(attempts).where(attempts.c.delivery_id.in_(select(_D.c.id).where(*here))))
    connection.execute(delete(_D).where(*here))
    connection.execute(delete(_T).where(*target))
    return True


def restore(connection: Connection, run_id: str, destination_id: int) -> None:
    """Make what was dropped with a run's destination pending again; one that was not dropped is left as it is.

    Dead letters that a person had dropped one by one stay as they are.
    """
    here = (_T.c.run_id == run_id, _T.c.destination_id == destination_id)
    dropped_at = connection.execute(select(_T.c.dropped_at).where(*here)).scalar_one_or_none()
    if dropped_at is None:
        return
    connection.execute(update(_T).where(*here).values(dropped_at=None))
    unblock(connection, run_id, destination_id)
    with_it = (_D.c.state == "dropped", _D.c.settled_at == dropped_at)
    send_after_all(connection, _D.c.run_id == run_id, _D.c.destination_id == destination_id, *with_it)
