"""Deliveries that are not under way: letting them be tried again, and telling which need not arrive."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select, update

from journal.clock import LONGEST_RETRY_AFTER, now_text, to_text
from journal.errors import UnknownRow
from journal.kinds import CHECKPOINT
from journal.outbox import routing
from journal.outbox.replaced import replaced, send_rest
from journal.records import Claim, State
from journal.schema import plausible_times, tables

_D = tables.deliveries
_E = tables.events
_S = tables.sessions
_T = tables.targets


@dataclass(frozen=True)
class Revived:
    """What was given another life.

    Attributes:
        letters: Dead letters that are pending again.
        replaced: Dead letters that are superseded now, because newer deliveries have replaced them.
        runs: Runs that go on which had been refused as a whole, one for each destination.
    """

    letters: int
    replaced: int
    runs: int


def reclaim(connection: Connection) -> int:
    """Make every claimed delivery pending again; return how many."""
    return _update_open(connection, "claimed", {"state": "pending", "owner": None, "lease_until": None})


def make_due(connection: Connection, now: datetime) -> int:
    """Let pending deliveries be tried at once, except where the platform asked for the wait; return how many.

    What waits longer than a platform may ask for was written before the clock was set back.
    """
    waits = _D.c.next_attempt_at > to_text(now)
    is_ours = or_(_D.c.held == 0, _D.c.next_attempt_at > plausible_times.latest(now, LONGEST_RETRY_AFTER))
    return _update_open(connection, "pending", {"next_attempt_at": to_text(now)}, waits, is_ours)


def revive(connection: Connection, delivery_ids: Sequence[int] | None, run_ids: Sequence[str] = ()) -> Revived:
    """Give dead letters another life, unless newer deliveries have replaced them, and unblock their runs.

    Args:
        connection: In a write transaction.
        delivery_ids: These; None for all, and for blocked runs whose dead letters were dropped.
        run_ids: Runs that are unblocked in any case.

    Raises:
        UnknownRow: One of them is no dead letter; none was revived.
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
    return Revived(send_after_all(connection, chosen) + len(parts), old.rowcount, runs)


def unblock_emptied(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Let runs go on that these dropped deliveries were the last dead letters of.

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
        routing.unblock(connection, run_id, destination_id)
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
    """Give up dead letters for good; their rows stay as `dropped`. Return how many.

    A run that was blocked goes on after its last one.

    Raises:
        UnknownRow: One of them is no dead letter; none was dropped.
    """
    require_dead(connection, delivery_ids)
    values = {"state": "dropped", "settled_at": now_text()}
    dropped = connection.execute(update(_D).where(_D.c.id.in_(delivery_ids)).values(values)).rowcount
    unblock_emptied(connection, delivery_ids)
    return dropped


def may_be_skipped(connection: Connection, claim: Claim, roles: Collection[str] | None) -> bool:
    """Return whether a checkpoint need not arrive; see `Outbox.may_be_skipped`."""
    published = func.json_extract(_E.c.payload, "$.publish") == 1
    own = _E.alias()
    its = _S.alias()
    place = select(tables.place(own, its)).where(own.c.id == claim.last_event, its.c.id == own.c.session_id)
    later = exists().where(
        _S.c.id == _E.c.session_id,
        _E.c.run_id == claim.run.id,
        _E.c.kind == CHECKPOINT,
        tables.place(_E, _S) > place.scalar_subquery(),
        or_(published if roles is None else _E.c.key.in_(roles), _E.c.key == claim.role),
    )
    given_up = exists().where(tables.blobs.c.sha256 == claim.sha256, tables.blobs.c.state == "removed")
    return bool(connection.execute(select(or_(later, given_up))).scalar_one())


def _update_open(
    connection: Connection, state: State, values: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> int:
    chosen = (tables.is_open(_D), _D.c.state == state, *conditions)
    return connection.execute(update(_D).where(*chosen).values(values)).rowcount
