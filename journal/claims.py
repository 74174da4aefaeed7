"""Which deliveries are due, and taking them: the conditions of `Outbox.claim`, one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select, update

from journal import tables
from journal.clock import from_text, to_text
from journal.liveness import live_sessions
from journal.records import Claim, Lane, Run

_D = tables.deliveries
_T = tables.targets
_R = tables.runs

REGISTRATION = "training_started"


def sendable(destination_id: int, lane: Lane, run_ids: Sequence[str] | None) -> Select[Any]:
    """Return the query for open deliveries that wait for nothing but their time.

    A run that is not registered there sends its first registration, and nothing else: not even what was recorded
    before it, which happens when the registration went to a fallback file. Of a registered run all lower stages are
    settled. Uploads of a run go one after the other, so that an older checkpoint never arrives after a newer one.
    """
    earlier = _D.alias("earlier")
    open_before = exists().where(
        earlier.c.destination_id == _D.c.destination_id,
        earlier.c.run_id == _D.c.run_id,
        tables.is_open(earlier),
    )
    first_registration = ~open_before.where(earlier.c.kind == REGISTRATION, earlier.c.id < _D.c.id)
    query = (
        select(_D, _T.c.ids, _R.c.project, _R.c.name, _R.c.save_dir, _R.c.created_at.label("run_created_at"))
        .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
        .join(_R, _R.c.id == _D.c.run_id)
        .where(_D.c.destination_id == destination_id, _D.c.lane == lane, tables.is_open(_D))
        .where(
            or_(
                and_(_T.c.state == "registered", ~open_before.where(earlier.c.stage < _D.c.stage)),
                and_(_T.c.state == "new", _D.c.kind == REGISTRATION, first_registration),
            )
        )
    )
    if lane == "upload":
        query = query.where(~open_before.where(earlier.c.lane == "upload", earlier.c.id < _D.c.id))
    return query if run_ids is None else query.where(_D.c.run_id.in_(run_ids))


def due(destination_id: int, lane: Lane, now: datetime, run_ids: Sequence[str] | None) -> Select[Any]:
    """Return the query for what may be sent now, earliest stage first; without the spacing of uploads."""
    at = to_text(now)
    timely = or_(
        and_(_D.c.state == "pending", _D.c.next_attempt_at <= at),
        and_(_D.c.state == "claimed", _D.c.lease_until <= at),
    )
    return sendable(destination_id, lane, run_ids).where(timely).order_by(_D.c.stage, _D.c.id)


def is_spaced(live_sessions: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition for a checkpoint that keeps a distance to the last upload: of a live session, not final."""
    of_live_session = exists().where(
        tables.events.c.id == _D.c.first_event, tables.events.c.session_id.in_(live_sessions)
    )
    return and_(_D.c.role != "final", of_live_session)


def unspaced(query: Select[Any], live_sessions: Sequence[int], spaced_before: datetime) -> Select[Any]:
    """Leave out checkpoints that would follow the last upload too soon."""
    return query.where(or_(~is_spaced(live_sessions), _T.c.last_upload_at <= to_text(spaced_before)))


def next_due(
    connection: Connection,
    destination_id: int,
    now: datetime,
    run_ids: Sequence[str] | None,
    upload_spacing: timedelta,
) -> datetime | None:
    """Return the earliest time at which something pending is due, else None; it may be past."""
    messages = sendable(destination_id, "message", run_ids).where(_D.c.state == "pending")
    uploads = sendable(destination_id, "upload", run_ids).where(_D.c.state == "pending")
    first = connection.execute(messages.with_only_columns(func.min(_D.c.next_attempt_at))).scalar()
    times = [] if first is None else [from_text(first)]
    spaced = is_spaced(live_sessions(connection, now)).label("spaced")
    columns = (_D.c.next_attempt_at, _T.c.last_upload_at, spaced)
    for row in connection.execute(uploads.with_only_columns(*columns)):
        due_at = from_text(row.next_attempt_at)
        spaced_until = from_text(row.last_upload_at) + upload_spacing
        times.append(max(due_at, spaced_until) if row.spaced else due_at)
    return min(times, default=None)


def take(connection: Connection, rows: Sequence[Row[Any]], owner: str, now: datetime, lease_seconds: float) -> None:
    """Mark the rows as claimed, each under its next fence."""
    values = {
        "state": "claimed",
        "owner": owner,
        "lease_until": to_text(now + timedelta(seconds=lease_seconds)),
        "fence": _D.c.fence + 1,
        "attempts": _D.c.attempts + 1,
    }
    connection.execute(update(_D).where(_D.c.id.in_([row.id for row in rows])).values(values))
    for row in rows:
        if row.lane == "upload":
            here = (_T.c.run_id == row.run_id, _T.c.destination_id == row.destination_id)
            connection.execute(update(_T).where(*here).values(last_upload_at=to_text(now)))


def from_row(row: Row[Any]) -> Claim:
    """Return the claim for a row as it was just before `take`."""
    return Claim(
        delivery_id=row.id,
        chunk_id=row.chunk_id,
        run=Run(row.run_id, row.project, row.name, row.save_dir, row.run_created_at),
        destination_id=row.destination_id,
        ids=json.loads(row.ids),
        kind=row.kind,
        lane=row.lane,
        body=row.body,
        sha256=row.sha256,
        attempt=row.attempts + 1,
        fence=row.fence + 1,
        first_event=row.first_event,
        last_event=row.last_event,
        role=row.role,
    )
