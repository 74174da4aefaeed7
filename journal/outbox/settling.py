"""Writing what attempts came to: the second half of a claim's life."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from journal.encoding import encode, storable
from journal.outbox.kept_out import PAGE
from journal.records import Claim, Outcome, State
from journal.schema import tables

_D = tables.deliveries
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
        receipt=func.coalesce(bindparam("answer"), _D.c.receipt),  # else what `claims.note_projects` wrote
        settled_at=bindparam("settled"),
        owner=None,
        lease_until=None,
    )
)


def record(connection: Connection, finished: Sequence[Outcome], now: str) -> list[Outcome]:
    """Write the outcomes whose claim still holds; return the others."""
    current = _fences(connection, [outcome.claim.delivery_id for outcome in finished])
    valid = [one for one in finished if current.get(one.claim.delivery_id) == one.claim.fence]
    if valid:
        connection.execute(_SETTLE, [_settlement(outcome, now) for outcome in valid])
    failed = [_attempt(outcome, now) for outcome in valid if outcome.error]
    if failed:
        connection.execute(insert(tables.attempts), failed)
    for outcome in valid:
        if outcome.ids is not None or outcome.signals or outcome.block:
            _update_target(connection, outcome, now)
    return [outcome for outcome in finished if outcome not in valid] if len(valid) < len(finished) else []


def _fences(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Return the fence of each of these deliveries that is still claimed."""
    query = select(_D.c.id, _D.c.fence).where(_D.c.id.in_(ids), _D.c.state == "claimed")
    return {row.id: row.fence for row in connection.execute(query)}


def _settlement(outcome: Outcome, now: str) -> dict[str, Any]:
    state = _STATE_AFTER[outcome.result]
    return {
        "delivery_id": outcome.claim.delivery_id,
        "new_state": state,
        "uncounted": int(outcome.result == "release"),
        "due": outcome.next_attempt_at or now,
        "is_held": int(outcome.held),
        "error": _words(outcome.error),
        "answer": encode(outcome.receipt) if outcome.receipt else None,
        "settled": None if state == "pending" else now,
    }


def _attempt(outcome: Outcome, now: str) -> dict[str, Any]:
    return {
        "delivery_id": outcome.claim.delivery_id,
        "number": outcome.claim.attempt,
        "result": PAGE if outcome.foreign else outcome.result,
        "error": _words(outcome.error),
        "at": now,
    }


def _update_target(connection: Connection, outcome: Outcome, now: str) -> None:
    """Keep what the platform called the run, what it told it, or that it refuses it."""
    run_id, destination_id = outcome.claim.run.id, outcome.claim.destination_id
    here = update(_T).where(_T.c.run_id == run_id, _T.c.destination_id == destination_id)
    if outcome.ids is not None:
        query = select(_T.c.ids).where(_T.c.run_id == run_id, _T.c.destination_id == destination_id)
        known = json.loads(connection.execute(query).scalar_one())
        connection.execute(here.values(state="registered", reason=None, ids=encode({**known, **outcome.ids})))
    if outcome.block:
        connection.execute(here.values(state="blocked", reason=_words(outcome.block)))
    for kind, detail in outcome.signals:
        told = {"kind": _words(kind), "detail": _words(detail)}
        values = {"run_id": run_id, "destination_id": destination_id, **told}
        row = upsert(tables.signals).values(**values, session_id=_session(outcome.claim), created_at=now)
        connection.execute(row.on_conflict_do_nothing())


def _words(words: str | None) -> str | None:
    """Return a server's words as they can be stored: valid JSON may hold half of an emoji."""
    return None if words is None else storable(words)


def _session(claim: Claim) -> ColumnElement[int]:
    """Return the session that a delivery is of; the run's newest when the event was given up after it was planned."""
    events, sessions = tables.events, tables.sessions
    of_event = select(events.c.session_id).where(events.c.id == claim.first_event).scalar_subquery()
    of_training = (sessions.c.run_id == claim.run.id, sessions.c.purpose.is_(None))
    newest = select(func.max(sessions.c.id)).where(*of_training).scalar_subquery()
    return func.coalesce(of_event, newest)
