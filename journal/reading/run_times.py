"""When a run was trained and for how long, how far it was to go, and what platforms have told it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from journal.clock import from_text, to_text
from journal.kinds import FAILED, GOING_ON, MILESTONES, REGISTRATION, RunState, listed
from journal.reading.overview import cancelled, run_state
from journal.reading.remaining import page_of
from journal.records import CANCELLED
from journal.schema.tables import RANK
from journal.sessions.liveness import live_sessions
from journal.sessions.over import LAST_EVENT, last_sign
from journal.sessions.silent import open_elsewhere

_SESSIONS = text(
    f"""
    SELECT s.id, s.host, s.started_at, s.heartbeat_at, s.ended_at, s.outcome, {LAST_EVENT} AS last_event_at
    FROM sessions s WHERE s.run_id = :run AND s.purpose IS NULL ORDER BY s.generation, s.id
    """  # noqa: S608 - a name of this package
)
_LAST = text(
    f"""
    SELECT e.payload FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind = :kind AND json_valid(e.payload) ORDER BY {RANK} DESC LIMIT 1
    """  # noqa: S608 - a constant of this package
)
_MILESTONE = text(
    f"""
    SELECT e.kind FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run AND e.kind IN ({listed(MILESTONES)}) ORDER BY {RANK} DESC LIMIT 1
    """  # noqa: S608 - names of this package
)
_IS_CANCELLED = text("SELECT EXISTS (SELECT 1 FROM signals WHERE run_id = :run AND kind = :kind)")
_IDS = text("SELECT ids FROM targets WHERE run_id = :run ORDER BY destination_id")


@dataclass(frozen=True)
class RunTimes:
    """When a run was trained, and how.

    Attributes:
        state: See `journal.reading.overview.RunOverview`.
        is_live: Whether a session is: one that has finished may still be writing.
        began_at: When its first session began, ISO; None for a run without one.
        ended_at: When its last one ended, ISO, as far as is known; None while one goes on, or may.
        seconds: How long its sessions took, all together.
        sessions: How many of them there were.
        host: The machine of the last one.
        planned_epochs: How many epochs the trainer was asked for; None where it did not say.
        error: Why the training failed, if it did, in the trainer's words.
        models: Where its model is at each of its platforms, as far as these told it.
        is_cancelled: Whether a platform told it to stop.
    """

    state: RunState
    is_live: bool
    began_at: str | None
    ended_at: str | None
    seconds: float
    sessions: int
    host: str | None
    planned_epochs: int | None
    error: str | None
    models: tuple[str, ...]
    is_cancelled: bool


def run_times(connection: Connection, run_id: str, now: datetime) -> RunTimes:
    """Return when a run was trained.

    Args:
        connection: Any.
        run_id: The run.
        now: The current time, up to which a session that goes on has lasted.
    """
    rows = connection.execute(_SESSIONS, {"run": run_id}).all()
    live = set(live_sessions(connection, now))
    ends = [to_text(now) if row.id in live else last_sign(row, now) for row in rows]
    is_live = any(row.id in live for row in rows)
    state = _state(connection, run_id, rows[-1].outcome if rows else None, now, is_live=is_live)
    return RunTimes(
        state=state,
        is_live=is_live,
        began_at=rows[0].started_at if rows else None,
        ended_at=None if is_live or state in GOING_ON or not ends else max(ends),
        seconds=sum(_seconds(row.started_at, end) for row, end in zip(rows, ends, strict=True)),
        sessions=len(rows),
        host=rows[-1].host if rows else None,
        planned_epochs=_planned(connection, run_id),
        error=_error(connection, run_id),
        models=_models(connection, run_id),
        is_cancelled=bool(connection.execute(_IS_CANCELLED, {"run": run_id, "kind": CANCELLED}).scalar()),
    )


def _state(connection: Connection, run_id: str, outcome: str | None, now: datetime, *, is_live: bool) -> RunState:
    milestone = connection.execute(_MILESTONE, {"run": run_id}).scalar()
    state = run_state(milestone, outcome, is_live, was_cancelled=run_id in cancelled(connection))
    return "silent" if state == "interrupted" and run_id in open_elsewhere(connection, now) else state


def _seconds(begin: str, end: str) -> float:
    """Return the seconds between two times; none where a clock was set back meanwhile."""
    try:
        return max(0.0, (from_text(end) - from_text(begin)).total_seconds())
    except ValueError:
        return 0.0


def _planned(connection: Connection, run_id: str) -> int | None:
    epochs = _last(connection, run_id, REGISTRATION).get("epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 and epochs is not True else None


def _error(connection: Connection, run_id: str) -> str | None:
    told = _last(connection, run_id, FAILED).get("error")
    return str(told) if told else None


def _last(connection: Connection, run_id: str, kind: str) -> dict[str, object]:
    payload = connection.execute(_LAST, {"run": run_id, "kind": kind}).scalar()
    told = json.loads(payload) if payload else {}
    return told if isinstance(told, dict) else {}


def _models(connection: Connection, run_id: str) -> tuple[str, ...]:
    pages = (page_of(json.loads(ids)) for ids in connection.execute(_IDS, {"run": run_id}).scalars())
    return tuple(dict.fromkeys(page for page in pages if page))
