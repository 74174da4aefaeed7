"""Which deliveries are due, and taking them: the conditions of `Outbox.claim`, one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, exists, func, or_, select, update

from journal.clock import from_text, to_text
from journal.kinds import FINAL, REGISTRATION
from journal.outbox.fairness import QUEUES, SOON, Queue, first_of_each_name, interleave
from journal.outbox.kept_out import is_passed
from journal.records import FORMER_PROJECTS, Claim, Lane, Run
from journal.schema import plausible_times, tables
from journal.sessions.liveness import live_runs, live_sessions

_D = tables.deliveries
_T = tables.targets
_R = tables.runs
_S = tables.sessions


def find_due(
    connection: Connection,
    destination_id: int,
    *,
    lane: Lane,
    limit: int,
    now: datetime,
    run_ids: Sequence[str] | None,
    upload_spacing: timedelta,
    max_bytes: int | None = None,
    first_queue: int = 0,
    least_tried: bool = False,
    lease_seconds: float = 0.0,
) -> Sequence[Row[Any]]:
    """Return what may be sent now, in the order in which it is to go, as rows for `take` and `from_row`.

    At least one if any.
    """
    moments = plausible_times.values(now, timedelta(seconds=lease_seconds))
    values: dict[str, Any] = {"destination_id": destination_id, "limit": limit, "run_ids": run_ids, **moments}
    values |= {"live_runs": live_runs(connection, now), "soon": to_text(now + SOON)}
    if lane == "upload":
        values["live_sessions"] = live_sessions(connection, now)
        values["spaced_before"] = to_text(now - upload_spacing)
    queues = [connection.execute(_due(lane, queue, run_ids is not None, least_tried), values).all() for queue in QUEUES]
    registrations = list(first_of_each_name(queues[0]))
    if least_tried:
        registrations.sort(key=lambda row: row.attempts)
    in_order = interleave([registrations, *queues[1:]], first_queue)
    chosen = _fitting(islice(in_order, limit), max_bytes)
    found = {row.id: row for row in connection.execute(_BY_ID, {"ids": chosen})} if chosen else {}
    return [found[one] for one in chosen]


def _fitting(rows: Iterable[Row[Any]], max_bytes: int | None) -> list[int]:
    """Return the ids of the first rows, as many as are no larger together, and at least one."""
    chosen: list[int] = []
    size = 0
    for row in rows:
        size += row.size
        if chosen and max_bytes is not None and size > max_bytes:
            break
        chosen.append(row.id)
    return chosen


def next_due(
    connection: Connection,
    destination_id: int,
    *,
    lane: Lane,
    now: datetime,
    run_ids: Sequence[str] | None,
    upload_spacing: timedelta,
) -> datetime | None:
    """Return the earliest time at which something pending is due, else None; it may be past."""
    values: dict[str, Any] = {"destination_id": destination_id, "run_ids": run_ids, **plausible_times.values(now)}
    if lane == "message":
        rows = connection.execute(_waiting(lane, run_ids is not None), values)
        return min((from_text(row.next_attempt_at) for row in rows), default=None)
    values["live_sessions"] = live_sessions(connection, now)
    rows = connection.execute(_waiting(lane, run_ids is not None), values)
    return min((_due_at(row, upload_spacing, values["latest_now"]) for row in rows), default=None)


def _due_at(upload: Row[Any], spacing: timedelta, believed: str) -> datetime:
    due_at = from_text(upload.next_attempt_at)
    is_spaced = upload.spaced and upload.last_upload_at <= believed
    return max(due_at, from_text(upload.last_upload_at) + spacing) if is_spaced else due_at


# The statements are built once and cached: building one takes longer than running it.


@cache
def _due(lane: Lane, queue: Queue, some_runs: bool, least_tried: bool) -> Select[Any]:
    """Return the statement for id and size of what may be sent at `now`, of a queue.

    Not for the bodies, which are read of those alone that are taken: sorting would hold all of them in memory. Of
    registrations all that are open, as later runs of the same name may wait for them.
    """
    query = _sendable(lane, some_runs)
    size = func.length(_D.c.body).label("size")
    if queue == "registrations":
        is_soon = or_(
            _D.c.state == "claimed", plausible_times.attempt_is_due(), _D.c.next_attempt_at <= bindparam("soon")
        )
        query = query.add_columns(size, _D.c.attempts, _R.c.project, _R.c.name)
        query = query.add_columns(_timely().label("timely"), is_soon.label("soon"))
        return query.where(_T.c.state == "new").order_by(tables.RUN_NUMBER)
    is_live = _D.c.run_id.in_(bindparam("live_runs", expanding=True))
    query = query.add_columns(size).where(_timely(), is_live if queue == "live" else ~is_live)
    if lane == "upload":
        query = query.where(or_(~_is_spaced(), plausible_times.has_come(_T.c.last_upload_at, "spaced_before")))
    order = [_D.c.attempts, _D.c.id] if least_tried else [_D.c.id]
    return query.where(_T.c.state != "new").order_by(*order).limit(bindparam("limit"))


def _timely() -> ColumnElement[bool]:
    """Return the condition for deliveries that wait no longer, or whose owner let its lease run out."""
    return or_(
        and_(_D.c.state == "pending", plausible_times.attempt_is_due()),
        and_(_D.c.state == "claimed", plausible_times.has_come(_D.c.lease_until, believed="latest_lease")),
    )


@cache
def _waiting(lane: Lane, some_runs: bool) -> Select[Any]:
    """Return the statement for when pending deliveries are due: of messages the first, of uploads each."""
    query = _sendable(lane, some_runs).where(_D.c.state == "pending")
    attempt = plausible_times.next_attempt().label("next_attempt_at")
    if lane == "upload":
        return query.with_only_columns(attempt, _T.c.last_upload_at, _is_spaced().label("spaced"))
    return query.with_only_columns(attempt).order_by(attempt).limit(1)


def _sendable(lane: Lane, some_runs: bool) -> Select[Any]:
    """Return the statement for open deliveries that wait for nothing but their time.

    A run that is not registered there sends its first registration, and nothing else: not even what was recorded
    before it, which happens when the registration went to a fallback file. Of a registered run all lower stages are
    settled, but for what the end of a session passes (`kept_out.py`). Uploads of a run go one after the other, so
    that an older checkpoint never arrives after a newer one. Of a blocked run that was known there only the next
    session's registration goes: it may make the run known again. What is under way is settled before, as its refusal
    would block the run once more.
    """
    earlier = _D.alias("earlier")
    open_before = exists().where(
        earlier.c.destination_id == _D.c.destination_id,
        earlier.c.run_id == _D.c.run_id,
        tables.is_open(earlier),
    )
    was_known = and_(_T.c.state == "blocked", _T.c.ids != "{}")
    under_way = open_before.where(earlier.c.state == "claimed", earlier.c.id != _D.c.id)
    first_registration = ~open_before.where(earlier.c.kind == REGISTRATION, earlier.c.id < _D.c.id)
    query = (
        select(_D.c.id)
        .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
        .join(_R, _R.c.id == _D.c.run_id)
        .where(_D.c.destination_id == bindparam("destination_id"), _D.c.lane == lane, tables.is_open(_D))
        .where(
            or_(
                and_(
                    _T.c.state == "registered",
                    ~open_before.where(earlier.c.stage < _D.c.stage, ~is_passed(earlier, _D)),
                ),
                and_(_T.c.state == "new", _D.c.kind == REGISTRATION, first_registration),
                and_(was_known, _D.c.kind == REGISTRATION, first_registration, ~under_way),
            )
        )
    )
    if lane == "upload":
        query = query.where(~open_before.where(earlier.c.lane == "upload", earlier.c.id < _D.c.id))
    return query.where(_D.c.run_id.in_(bindparam("run_ids", expanding=True))) if some_runs else query


def _is_spaced() -> ColumnElement[bool]:
    """Return the condition for a checkpoint that keeps a distance to the last upload: of a live session, not final.

    One that was begun before has kept it already.
    """
    of_live_session = exists().where(
        tables.events.c.id == _D.c.first_event,
        tables.events.c.session_id.in_(bindparam("live_sessions", expanding=True)),
    )
    return and_(_D.c.role != FINAL, _D.c.fence == 0, of_live_session)


_BY_ID = (
    select(
        _D,
        _T.c.ids,
        _R.c.project,
        _R.c.name,
        _R.c.save_dir,
        _R.c.created_at.label("run_created_at"),
        select(_S.c.generation)
        .join(tables.events, tables.events.c.session_id == _S.c.id)
        .where(tables.events.c.id == _D.c.last_event)
        .scalar_subquery()
        .label("generation"),
    )
    .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
    .join(_R, _R.c.id == _D.c.run_id)
    .where(_D.c.id.in_(bindparam("ids", expanding=True)))
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
    if rows:
        connection.execute(update(_D).where(_D.c.id.in_([row.id for row in rows])).values(values))
    for row in rows:
        if row.lane == "upload":
            here = (_T.c.run_id == row.run_id, _T.c.destination_id == row.destination_id)
            connection.execute(update(_T).where(*here).values(last_upload_at=to_text(now)))


_NOTE = update(_D).where(_D.c.id == bindparam("noted")).values(receipt=bindparam("note"))


def note_projects(connection: Connection, rows: Sequence[Row[Any]], default_project: str) -> None:
    """Take down, before registrations are sent, to which projects: their answers may be lost.

    Args:
        connection: In a write transaction.
        rows: As they were just before `take`.
        default_project: Of runs that named none. The next drain may have another.
    """
    notes = [
        {
            "noted": row.id,
            "note": json.dumps({FORMER_PROJECTS: sorted({*_noted(row.receipt), row.project or default_project})}),
        }
        for row in rows
        if row.kind == REGISTRATION
    ]
    if notes:
        connection.execute(_NOTE, notes)


def _noted(receipt: str | None) -> list[str]:
    """Return the projects that a registration's row tells of; a damaged one tells of none."""
    try:
        note = json.loads(receipt or "{}")
    except (ValueError, RecursionError):
        return []
    projects = note.get(FORMER_PROJECTS) if isinstance(note, dict) else None
    return [each for each in projects if isinstance(each, str)] if isinstance(projects, list) else []


def sessions_of(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, frozenset[str]]:
    """Return the uuids of the sessions of each run that is to be registered."""
    runs = {row.run_id for row in rows if row.kind == REGISTRATION}
    query = select(_S.c.run_id, _S.c.uuid).where(_S.c.run_id.in_(runs), _S.c.uuid.is_not(None))
    found = connection.execute(query).all() if runs else []
    return {run: frozenset(row.uuid for row in found if row.run_id == run) for run in runs}


def former_projects(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, tuple[str, ...]]:
    """Return where these registrations, and those that they take the place of, were sent before, by delivery."""
    found: dict[int, tuple[str, ...]] = {}
    for row in (each for each in rows if each.kind == REGISTRATION and each.attempts):
        receipts = connection.execute(select(_D.c.receipt).where(*_replaced_by(row))).scalars()
        found[row.id] = tuple({project for receipt in (*receipts, row.receipt) for project in _noted(receipt)})
    return found


def _replaced_by(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the deliveries of the same event there that were superseded: by their chunk ids."""
    base = row.chunk_id.partition(".")[0]
    return (_D.c.chunk_id >= base, _D.c.chunk_id < f"{base}/", _D.c.state == "superseded")


def from_row(row: Row[Any], sessions: Mapping[str, frozenset[str]], former: Mapping[int, tuple[str, ...]]) -> Claim:
    """Return the claim for a row as it was just before `take`.

    Args:
        row: The delivery.
        sessions: From `sessions_of`.
        former: From `former_projects`.
    """
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
        sessions=sessions.get(row.run_id, frozenset()) if row.kind == REGISTRATION else frozenset(),
        order=f"{row.generation} {row.span}" if row.span and row.generation else None,
        former_projects=former.get(row.id, ()),
    )
