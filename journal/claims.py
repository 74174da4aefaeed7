"""Which deliveries are due, and taking them: the conditions of `Outbox.claim`, one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, exists, or_, select, update

from journal import tables
from journal.clock import to_text
from journal.records import OPEN_STATES, Claim, Lane, Run

_D = tables.deliveries
_T = tables.targets
_R = tables.runs

REGISTRATION = "training_started"


def due(destination_id: int, lane: Lane, now: datetime, run_ids: Sequence[str] | None) -> Select[Any]:
    """Return the query for what may be sent now, earliest stage first; without the spacing of uploads."""
    at = to_text(now)
    earlier = _D.alias("earlier")
    unsettled_before = exists().where(
        earlier.c.destination_id == _D.c.destination_id,
        earlier.c.run_id == _D.c.run_id,
        earlier.c.stage < _D.c.stage,
        earlier.c.state.in_(OPEN_STATES),
    )
    query = (
        select(_D, _T.c.ids, _R.c.project, _R.c.name, _R.c.save_dir, _R.c.created_at.label("run_created_at"))
        .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
        .join(_R, _R.c.id == _D.c.run_id)
        .where(_D.c.destination_id == destination_id, _D.c.lane == lane)
        .where(
            or_(
                and_(_D.c.state == "pending", _D.c.next_attempt_at <= at),
                and_(_D.c.state == "claimed", _D.c.lease_until <= at),
            )
        )
        .where(or_(_T.c.state == "registered", and_(_T.c.state == "new", _D.c.kind == REGISTRATION)))
        .where(~unsettled_before)
        .order_by(_D.c.stage, _D.c.id)
    )
    return query if run_ids is None else query.where(_D.c.run_id.in_(run_ids))


def unspaced(query: Select[Any], live: Sequence[str], spaced_before: datetime) -> Select[Any]:
    """Leave out a live run's checkpoint that would follow the last upload too soon; a final one never waits."""
    return query.where(
        or_(
            _D.c.role == "final",
            _D.c.run_id.not_in(live),
            _T.c.last_upload_at <= to_text(spaced_before),
        )
    )


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
    )
