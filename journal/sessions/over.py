"""Trainings that are over: no process trains them any more, as far as can be known."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.clock import to_text
from journal.kinds import COMPLETE, FAILED, REGISTRATION
from journal.schema.tables import RANK
from journal.sessions.liveness import is_dead, is_here, live_runs
from journal.sessions.lost_epochs import TrainerRecord
from journal.sessions.origin import ELSEWHERE, Origin, origin

SILENT_FOR_GOOD = timedelta(days=1)
"""A session writes a heartbeat every 30 seconds; one of another machine is taken for dead after a day without any."""
FINISHED = "complete"
"""Outcome of a session that trained to the end."""

LAST_EVENT = "(SELECT e.created_at FROM events e WHERE e.session_id = s.id ORDER BY e.seq DESC LIMIT 1)"
"""When the newest event of session `s` was made."""
# The last training session of each run.
_LAST = text(
    f"""
    SELECT r.id AS run_id, r.project, r.name, r.save_dir, r.created_at, s.generation, s.outcome,
           s.uuid, s.host, s.boot_id, s.pid, s.started_at, s.heartbeat_at, s.ended_at, s.flushed_seq,
           {LAST_EVENT} AS last_event_at, s.id AS session_id,
           EXISTS (SELECT 1 FROM events e WHERE e.run_id = r.id
                   AND e.id > coalesce((SELECT min(t.planned_through) FROM targets t
                                        WHERE t.run_id = r.id AND t.dropped_at IS NULL), 0)) AS is_waiting
    FROM runs r JOIN sessions s ON s.id = (SELECT n.id FROM sessions n WHERE n.run_id = r.id AND n.purpose IS NULL
                                           ORDER BY n.generation DESC, n.id DESC LIMIT 1)
    WHERE CAST(:runs AS TEXT) IS NULL OR r.id IN (SELECT value FROM json_each(:runs))
    ORDER BY r.rowid
    """  # noqa: S608 - a name of this module
)
_HAS_TOLD_END = text(
    f"SELECT EXISTS (SELECT 1 FROM events WHERE session_id = :id AND kind IN ('{COMPLETE}', '{FAILED}'))"  # noqa: S608
)
_FOLDER = text(
    f"""
    SELECT json_extract(e.payload, '$.trainArgs.save_dir') FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id AND e.kind = '{REGISTRATION}' AND json_valid(e.payload)
    ORDER BY {RANK} DESC LIMIT 1
    """  # noqa: S608 - names of this package
)


@dataclass(frozen=True)
class OverRun:
    """A run that nobody trains.

    Attributes:
        id: Uuid.
        name: With the project, if it has one.
        folders: Where it may have been trained, the newest first.
        begun_at: When it began in this journal, as an ISO time.
        last_sign: Of life, as an ISO time.
        generation: Of its last session.
        is_pruned: Whether events of it were deleted after they had arrived.
    """

    id: str
    name: str
    folders: tuple[Path, ...]
    begun_at: str
    last_sign: str
    generation: int
    is_pruned: bool = False


RecordOf = Callable[[OverRun], TrainerRecord]
"""Returns the trainer's own record of a run's epochs, which somebody else knows to read."""


def no_record(_: OverRun) -> TrainerRecord:
    """Return a record of nothing, for whoever knows none."""
    return TrainerRecord()


def runs_over(
    connection: Connection,
    now: datetime,
    pruned: Collection[str],
    *,
    finished: bool = False,
    of: Collection[str] | None = None,
) -> Iterator[OverRun]:
    """Yield the runs that are over: those that did not finish, and those of which something is not planned yet.

    Args:
        connection: Any.
        now: The current time.
        pruned: Runs of which events were deleted.
        finished: Whether to yield all others, too.
        of: Only of these runs; None for all.
    """
    live, where = live_runs(connection, now), origin(connection)
    chosen = {"runs": None if of is None else json.dumps([*of])}
    for row in connection.execute(_LAST, chosen).all():
        is_chosen = row.run_id not in live and (finished or row.is_waiting or row.outcome != FINISHED)
        if is_chosen and is_gone(row, now, where):
            yield _run(connection, row, is_pruned=row.run_id in pruned)


def are_going_on(connection: Connection, now: datetime, runs: Collection[str]) -> bool:
    """Return whether anybody trains any of these runs elsewhere, as far as their events tell; a silent one for a day.

    Args:
        connection: To a journal into which they come from a mirror, without heartbeats.
        now: The current time.
        runs: Uuids.
    """
    found = connection.execute(_LAST, {"runs": json.dumps([*runs])}).all()
    rows = [row for row in found if not is_gone(row, now, Origin(ELSEWHERE))]
    return any(not connection.execute(_HAS_TOLD_END, {"id": row.session_id}).scalar() for row in rows)


def is_gone(session: Row[Any], now: datetime, where: Origin) -> bool:
    """Return whether a session has ended or its process is known to be dead; a heartbeat from the future tells nothing.

    Of one that wrote to another journal nothing is known by its process: how it ended may not have come in yet. It is
    taken for dead when nothing of it came in for a day.

    Args:
        session: A row of `sessions`, or what it has of `uuid`, `ended_at`, `host`, `boot_id`, `pid`, `flushed_seq`,
            `started_at` and `heartbeat_at`, with its `LAST_EVENT` as `last_event_at`.
        now: The current time.
        where: Where the journal's sessions come from.
    """
    if session.ended_at is not None:
        return True
    is_without_process = is_dead(session.host, session.boot_id, session.pid)
    if is_without_process and where.has_written(session):
        return True
    if not is_without_process and is_here(session.host, session.boot_id):  # silent after a sleep, or by a set clock
        return False
    last_sign = session.heartbeat_at
    if last_sign == session.started_at:  # it may have come out of a mirror, into which only events go
        last_sign = max(last_sign, session.last_event_at or "")
    return where.is_heard_of(session) and bool(last_sign < to_text(now - SILENT_FOR_GOOD))


def last_sign(session: Row[Any], now: datetime) -> str:
    """Return when a session that is over was heard of for the last time: its end, as far as that is known.

    Args:
        session: A row of `sessions`, or what it has of `ended_at` and `heartbeat_at`, with its `LAST_EVENT` as
            `last_event_at`. What a clock that was set back dated after now tells nothing.
        now: The current time.
    """
    signs = (session.ended_at, session.heartbeat_at, session.last_event_at)
    return max((sign for sign in signs if sign and sign <= to_text(now)), default=to_text(now))


def _run(connection: Connection, row: Row[Any], *, is_pruned: bool) -> OverRun:
    recorded = connection.execute(_FOLDER, {"run_id": row.run_id}).scalar()
    folders = dict.fromkeys([*([recorded] if isinstance(recorded, str) and recorded else []), row.save_dir])
    return OverRun(
        row.run_id,
        f"{row.project}/{row.name}" if row.project else row.name,
        tuple(map(Path, folders)),
        row.created_at,
        max(row.heartbeat_at or "", row.ended_at or ""),
        row.generation,
        is_pruned,
    )
