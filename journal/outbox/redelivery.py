"""Dead letters: redelivering or dropping them, and unblocking their runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, or_, select, update

from journal.clock import now_text
from journal.errors import UnknownRow
from journal.outbox import targets
from journal.outbox.replaced import replaced, send_rest
from journal.schema import tables

_D = tables.deliveries
_E = tables.events
_S = tables.sessions
_T = tables.targets


@dataclass(frozen=True)
class Retried:
    """What is redelivered.

    Attributes:
        letters: Dead letters that are pending again.
        replaced: Dead letters that are superseded now, because newer deliveries have replaced them.
        runs: Runs that go on which had been refused as a whole, one for each destination.
    """

    letters: int
    replaced: int
    runs: int


def retry(connection: Connection, delivery_ids: Sequence[int] | None, run_ids: Sequence[str] = ()) -> Retried:
    """Make dead letters pending again, unless newer deliveries have replaced them, and unblock their runs.

    Args:
        connection: In a write transaction.
        delivery_ids: These; None for all, and for blocked runs whose dead letters were dropped.
        run_ids: Runs that are unblocked in any case.

    Raises:
        UnknownRow: One of them is no dead letter; none was retried.
    """
    chosen = _D.c.state == "dead"
    if delivery_ids is not None:
        require_dead(connection, delivery_ids)
        chosen = chosen & _D.c.id.in_(delivery_ids)
    there = exists().where(_D.c.run_id == _T.c.run_id, _D.c.destination_id == _T.c.destination_id, chosen)
    is_wanted: ColumnElement[bool] = _T.c.dropped_at.is_(None)
    if delivery_ids is not None:
        is_wanted = or_(there, is_wanted & _T.c.run_id.in_(run_ids))
    runs = _unblock(connection, is_wanted)
    newer = replaced(connection)
    old = connection.execute(update(_D).where(chosen, _D.c.id.in_(newer.whole)).values(state="superseded"))
    parts = connection.execute(select(_D.c.id).where(chosen, _D.c.id.in_(newer.parts))).scalars().all()
    for letter in parts:
        send_rest(connection, letter, newer.parts[letter])
    return Retried(send_after_all(connection, chosen) + len(parts), old.rowcount, runs)


def unblock_emptied(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Unblock runs whose last dead letters these dropped deliveries were.

    Not runs that the platform never knew: without their registration, nothing of them can be sent.
    """
    here = (_D.c.run_id == _T.c.run_id, _D.c.destination_id == _T.c.destination_id)
    of_these = exists().where(*here, _D.c.id.in_(delivery_ids))
    _unblock(connection, of_these & ~exists().where(*here, _D.c.state == "dead") & (_T.c.ids != "{}"))


def _unblock(connection: Connection, chosen: ColumnElement[bool]) -> int:
    """Let blocked targets be tried again; return how many."""
    query = select(_T.c.run_id, _T.c.destination_id).where(_T.c.state == "blocked", chosen)
    blocked = connection.execute(query).all()
    for run_id, destination_id in blocked:
        targets.unblock(connection, run_id, destination_id)
    return len(blocked)


def send_after_all(connection: Connection, *chosen: ColumnElement[bool]) -> int:
    """Make settled deliveries pending again, due at once; return how many."""
    values = {"state": "pending", "next_attempt_at": now_text(), "settled_at": None, "held": 0}
    return connection.execute(update(_D).where(*chosen).values(values)).rowcount


def require_dead(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Check that these ids are those of dead letters, all of them.

    Raises:
        UnknownRow: One of them is not.
    """
    known = set(connection.execute(select(_D.c.id).where(_D.c.state == "dead")).scalars())  # whatever was typed
    if missing := [str(one) for one in delivery_ids if one not in known]:
        raise UnknownRow(
            f"no dead letter has the id {', '.join(missing)}; `status` and the view dead_letters list them"
        )


def drop(connection: Connection, delivery_ids: Sequence[int]) -> int:
    """Drop dead letters for good; their rows stay as `dropped`. Return how many.

    A run that was blocked goes on after its last one.

    Raises:
        UnknownRow: One of them is no dead letter; none was dropped.
    """
    require_dead(connection, delivery_ids)
    values = {"state": "dropped", "settled_at": now_text()}
    dropped = connection.execute(update(_D).where(_D.c.id.in_(delivery_ids)).values(values)).rowcount
    unblock_emptied(connection, delivery_ids)
    return dropped
