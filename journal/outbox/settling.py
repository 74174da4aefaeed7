"""Settling claims: what attempts came to, and whether a claim is worth another one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, bindparam, cast, exists, func, insert, or_, select, update

from journal.clock import to_text
from journal.encoding import encode, storable
from journal.kinds import CHECKPOINT
from journal.outbox import obstacles
from journal.outbox.kept_out import PAGE, is_kept_out
from journal.records import MODEL_ID, Claim, Outcome, State
from journal.schema import tables
from journal.schema.neutral import is_named, upsert
from journal.storage.backend import Begin

_D = tables.deliveries
_E = tables.events
_R = tables.runs
_S = tables.sessions
_T = tables.targets

_STATE_AFTER: dict[str, State] = {
    "delivered": "delivered",
    "retry": "pending",
    "release": "pending",
    "dead": "dead",
    "superseded": "superseded",
}
# Every column that an outcome may change, so that a whole batch is one statement.
_SETTLE = (
    update(_D)
    .where(_D.c.id == bindparam("delivery_id"))
    .values(
        state=bindparam("new_state"),
        attempts=_D.c.attempts - bindparam("uncounted"),
        next_attempt_at=bindparam("due"),
        held=bindparam("is_held"),
        last_error=bindparam("error"),
        receipt=func.coalesce(bindparam("answer"), _D.c.receipt),  # else what `announcements.py` wrote
        settled_at=bindparam("settled"),
        owner=None,
        lease_until=None,
    )
)


class Settlement:
    """The outcomes of a journal's claims. Each method is one transaction."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin

    def record(self, finished: Sequence[Outcome], *, now: datetime) -> list[Outcome]:
        """Write what attempts came to, all in one transaction; return those that another drain has overtaken.

        Where a run is blocked it is alone: nobody then claims more of it by what was so a moment ago. What was written
        before, and the answer to that was lost, is not written again.
        """
        if not finished:
            return []
        blocks = any(outcome.block for outcome in finished)
        moment = to_text(now)
        with self._begin(concurrent=not blocks) as connection:
            current = _states(connection, [outcome.claim.delivery_id for outcome in finished])
            _write(connection, [one for one in finished if _is_in(one, "claimed", current)], moment)
        return [one for one in finished if not _is_in(one, "claimed", current) and not _is_written(one, current)]

    def note_obstacles(self, found: Mapping[int, tuple[obstacles.Cause, str]], *, now: datetime) -> None:
        """Note what is in the way of destinations: the cause, and why, by their ids. A delivery there removes it."""
        with self._begin() as connection:
            for place, (cause, reason) in found.items():
                obstacles.note(connection, place, cause, reason, now)

    def may_be_skipped(self, claim: Claim, roles: Collection[str] | None = None) -> bool:
        """Return whether the claimed checkpoint need not arrive, and its bytes may be gone.

        A later one is delivered in its place, or it was evicted.

        Args:
            claim: Of a checkpoint.
            roles: Roles of the checkpoints that its destination is sent; None for those that were published.
        """
        published = cast(func.json_extract(_E.c.payload, "$.publish"), Text) == "1"
        own = _E.alias()
        its = _S.alias()
        own_order = select(tables.run_order(own, its)).where(own.c.id == claim.last_event, its.c.id == own.c.session_id)
        later = exists().where(
            _S.c.id == _E.c.session_id,
            _E.c.run_id == claim.run.id,
            _E.c.kind == CHECKPOINT,
            tables.run_order(_E, _S) > own_order.scalar_subquery(),
            or_(published if roles is None else _E.c.key.in_(roles), _E.c.key == claim.role),
        )
        evicted = exists().where(tables.blobs.c.sha256 == claim.sha256, tables.blobs.c.state == "removed")
        with self._begin(read_only=True) as connection:
            return bool(connection.execute(select(or_(later, evicted))).scalar_one())

    def is_kept_out(self, claim: Claim) -> bool:
        """Return whether an intermediary lets others through but not this delivery; see `kept_out.py`."""
        with self._begin(read_only=True) as connection:
            return is_kept_out(connection, claim)

    def model_of_another(self, claim: Claim, model_id: object) -> str | None:
        """Return the name of another run that the claim's destination calls by the same id, else None."""
        query = (
            select(_R.c.name)
            .join(_T, _T.c.run_id == _R.c.id)
            .where(_T.c.destination_id == claim.destination_id, _T.c.run_id != claim.run.id, _T.c.state == "registered")
            .where(cast(func.json_extract(_T.c.ids, f"$.{MODEL_ID}"), Text) == str(model_id))
        )
        with self._begin(read_only=True) as connection:
            return connection.execute(query.limit(1)).scalar_one_or_none()


def _write(connection: Connection, valid: Sequence[Outcome], now: str) -> None:
    """Write outcomes whose claims still hold."""
    if valid:
        connection.execute(_SETTLE, [_settlement(outcome, now) for outcome in valid])
    failed = [_attempt(outcome, now) for outcome in valid if outcome.error]
    if failed:
        connection.execute(insert(tables.attempts), failed)
    if reached := {outcome.claim.destination_id for outcome in valid if outcome.result == "delivered"}:
        connection.execute(obstacles.REMOVE, [{"destination_id": one} for one in sorted(reached)])
    telling = [one for one in valid if one.ids is not None or one.signals or one.block]
    for outcome in sorted(telling, key=_TARGET):  # all lock targets in one order
        _update_target(connection, outcome, now)


_TARGET = attrgetter("claim.run.id", "claim.destination_id")


def _is_in(outcome: Outcome, state: State, current: Mapping[int, tuple[int, str]]) -> bool:
    """Return whether a delivery is in this state, and nobody has claimed it since."""
    return current.get(outcome.claim.delivery_id) == (outcome.claim.fence, state)


def _is_written(outcome: Outcome, current: Mapping[int, tuple[int, str]]) -> bool:
    return _is_in(outcome, _STATE_AFTER[outcome.result], current)


def _states(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Return the fence and the state of each of these deliveries; nobody changes them until they are settled."""
    return {row.id: (row.fence, row.state) for row in connection.execute(_STATES, {"ids": json.dumps(ids)})}


_STATES = (
    select(_D.c.id, _D.c.fence, _D.c.state)
    .where(is_named(_D.c.id, "ids"))
    .order_by(_D.c.id)
    .with_for_update(key_share=True)
)


def _settlement(outcome: Outcome, now: str) -> dict[str, Any]:
    state = _STATE_AFTER[outcome.result]
    return {
        "delivery_id": outcome.claim.delivery_id,
        "new_state": state,
        "uncounted": int(outcome.result == "release"),
        "due": outcome.next_attempt_at or now,
        "is_held": int(outcome.held),
        "error": _storable(outcome.error),
        "answer": encode(outcome.receipt) if outcome.receipt else None,
        "settled": None if state == "pending" else now,
    }


def _attempt(outcome: Outcome, now: str) -> dict[str, Any]:
    return {
        "delivery_id": outcome.claim.delivery_id,
        "number": outcome.claim.attempt,
        "result": PAGE if outcome.foreign else outcome.result,
        "error": _storable(outcome.error),
        "at": now,
    }


def _update_target(connection: Connection, outcome: Outcome, now: str) -> None:
    """Store the platform's ids for the run, its signals, or that it refuses the run."""
    run_id, destination_id = outcome.claim.run.id, outcome.claim.destination_id
    here = update(_T).where(_T.c.run_id == run_id, _T.c.destination_id == destination_id)
    if outcome.ids is not None:
        query = select(_T.c.ids).where(_T.c.run_id == run_id, _T.c.destination_id == destination_id)
        known = json.loads(connection.execute(query.with_for_update(key_share=True)).scalar_one())
        connection.execute(here.values(state="registered", reason=None, ids=encode({**known, **outcome.ids})))
    if outcome.block:
        connection.execute(here.values(state="blocked", reason=_storable(outcome.block)))
    for kind, detail in outcome.signals:
        signal = {"kind": _storable(kind), "detail": _storable(detail)}
        values = {"run_id": run_id, "destination_id": destination_id, **signal}
        row = upsert(tables.signals).values(**values, session_id=_session(outcome.claim), created_at=now)
        connection.execute(row.on_conflict_do_nothing())


def _storable(text: str | None) -> str | None:
    """Return a server's text in a form that can be stored: valid JSON may hold half of an emoji."""
    return None if text is None else storable(text)


def _session(claim: Claim) -> ColumnElement[int]:
    """Return the session that a delivery is of; the run's newest when the event was evicted after it was planned."""
    events, sessions = tables.events, tables.sessions
    of_event = select(events.c.session_id).where(events.c.id == claim.first_event).scalar_subquery()
    of_training = (sessions.c.run_id == claim.run.id, sessions.c.purpose.is_(None))
    newest = select(func.max(sessions.c.id)).where(*of_training).scalar_subquery()
    return func.coalesce(of_event, newest)
