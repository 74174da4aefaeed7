"""The state of a journal in numbers, for `status` and the summary of a drain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.clock import from_text, to_text
from journal.kinds import FINAL, MILESTONES, NOT_FOR_PLATFORMS, RunState, listed, of
from journal.outbox.claims import UPLOAD_SPACING_SECONDS
from journal.retention import prunable
from journal.schema import plausible_times
from journal.schema.tables import RANK, epochs
from journal.sessions.liveness import live_runs, live_sessions

_RUNS = text(
    f"""
    SELECT r.id, r.project, r.name, r.created_at,
           {epochs("r")} AS epochs,
           (SELECT count(*) FROM events e WHERE e.run_id = r.id) AS events,
           (SELECT kind FROM events e JOIN sessions s ON s.id = e.session_id WHERE e.run_id = r.id
              AND e.kind IN ({listed(MILESTONES)})
            ORDER BY {RANK} DESC LIMIT 1) AS milestone,
           (SELECT outcome FROM sessions s WHERE s.run_id = r.id AND s.purpose IS NULL
            ORDER BY s.generation DESC, id DESC LIMIT 1) AS outcome,
           (SELECT count(*) - count(DISTINCT s.generation) FROM sessions s
            WHERE s.run_id = r.id AND s.purpose IS NULL) AS forks,
           (SELECT count(*) FROM sessions s
            JOIN events e ON e.session_id = s.id AND e.seq > s.flushed_seq AND e.created_at < s.heartbeat_at
            WHERE s.run_id = r.id AND s.ended_at IS NULL) AS unflushed
    FROM runs r ORDER BY r.created_at
    """  # noqa: S608 - a constant of `tables`
)
_UNPLANNED = f"""FROM events e
              WHERE e.run_id = t.run_id AND e.id > t.planned_through AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)})"""
# The bodies' lengths are summed outside of the groups: grouping sorts, and would hold all bodies in memory.
# Events that are for no platform do not count as waiting.
_TARGETS = text(
    f"""
    SELECT t.run_id, t.destination_id, d.platform, d.base_url, t.state, t.reason, t.ids, t.dropped_at,
           (SELECT count(*) {_UNPLANNED}) AS unplanned, (SELECT min(created_at) {_UNPLANNED}) AS oldest_unplanned_at,
           coalesce(x.pending, 0) AS pending, coalesce(x.delivered, 0) AS delivered, coalesce(x.dead, 0) AS dead,
           coalesce(x.superseded, 0) AS superseded, coalesce(x.dropped, 0) AS dropped,
           (SELECT coalesce(sum(coalesce(b.size, length(o.body))), 0)
              FROM deliveries o LEFT JOIN blobs b ON b.sha256 = o.sha256
             WHERE o.run_id = t.run_id AND o.destination_id = t.destination_id AND o.state IN ('pending', 'claimed'))
             AS pending_bytes,
           x.oldest_pending_at, x.next_attempt_at, failed.last_error
    FROM targets t
    JOIN destinations d ON d.id = t.destination_id
    LEFT JOIN (
      SELECT x.run_id, x.destination_id,
             count(CASE WHEN x.state IN ('pending', 'claimed') THEN 1 END) AS pending,
             count(CASE WHEN x.state = 'delivered' THEN 1 END) AS delivered,
             count(CASE WHEN x.state = 'dead' THEN 1 END) AS dead,
             count(CASE WHEN x.state = 'superseded' THEN 1 END) AS superseded,
             count(CASE WHEN x.state = 'dropped' THEN 1 END) AS dropped,
             min(CASE WHEN x.state IN ('pending', 'claimed') THEN x.created_at END) AS oldest_pending_at,
             min(CASE WHEN x.state IN ('pending', 'claimed')
                       AND NOT (x.lane = 'upload' AND x.role != '{FINAL}' AND x.fence = 0) THEN x.next_attempt_at END)
               AS next_attempt_at,
             max(CASE WHEN x.last_error IS NOT NULL AND x.state IN ('pending', 'claimed', 'dead') THEN x.id END)
               AS failed_id
      FROM deliveries x
      GROUP BY x.run_id, x.destination_id
    ) x ON x.run_id = t.run_id AND x.destination_id = t.destination_id
    LEFT JOIN deliveries failed ON failed.id = x.failed_id
    """  # noqa: S608 - names of this package
)


# Checkpoints whose uploads are spaced as long as the session that saved them is alive.
_SPACED = text(
    f"""
    SELECT d.run_id, d.destination_id, d.next_attempt_at, t.last_upload_at, e.session_id
    FROM deliveries d
    JOIN targets t ON t.run_id = d.run_id AND t.destination_id = d.destination_id
    LEFT JOIN events e ON e.id = d.first_event
    WHERE d.state IN ('pending', 'claimed') AND d.lane = 'upload' AND d.role != '{FINAL}' AND d.fence = 0
    """  # noqa: S608 - names of this package
)
_STATE_BY_OUTCOME: Mapping[str, RunState] = {"complete": "finished", "failed": "failed"}
_DEAD = text("SELECT id, run_id, destination_id, kind, last_error FROM deliveries WHERE state = 'dead' ORDER BY id")


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was refused for good.

    Attributes:
        id: What `retry` and `drop` know it by.
        kind: What it is: an event's kind, or `checkpoint`.
        reason: Why, in the platform's words.
    """

    id: int
    kind: str
    reason: str | None


@dataclass(frozen=True)
class TargetReport:
    """One run at one destination.

    Attributes:
        platform: Name of the platform's API.
        base_url: Where it is.
        state: `new`, `registered` or `blocked`.
        reason: Why it is blocked, else None.
        ids: What the platform called the run.
        unplanned: Events that no delivery was made for yet.
        pending: Deliveries still to be made.
        delivered: Deliveries that the platform confirmed.
        dead: Deliveries that the platform refused for good.
        superseded: Deliveries that newer ones replace: of checkpoints, or of an older session's late events.
        dropped: Deliveries that a person dropped.
        dropped_at: When a person dropped the whole destination, ISO, else None.
        pending_bytes: Bytes of what is pending.
        oldest_at: Time of the oldest event or delivery that has not arrived, ISO, else None.
        next_attempt_at: When the next attempt is due, ISO, else None.
        is_spaced: Whether that is a checkpoint's, whose uploads are spaced while its run is trained.
        last_error: The newest error of what has not arrived, else None.
        dead_letters: What the platform refused for good, oldest first.
    """

    platform: str
    base_url: str
    state: str
    reason: str | None
    ids: Mapping[str, Any]
    unplanned: int
    pending: int
    delivered: int
    dead: int
    superseded: int
    dropped: int
    dropped_at: str | None
    pending_bytes: int
    oldest_at: str | None
    next_attempt_at: str | None
    last_error: str | None
    is_spaced: bool = False
    dead_letters: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True)
class RunReport:
    """One run and where it goes.

    Attributes:
        id: Uuid.
        project: Slug, or None.
        name: Slug.
        created_at: ISO time.
        state: `running` while a session is alive; `interrupted` when none is and it neither finished nor failed.
        epochs: How many epochs were trained; the final evaluation is none.
        events: How many events the journal holds.
        targets: One for each destination; none before the first drain when no destination was chosen.
        pruned: Whether events were deleted, after delivery or by an eviction. Only later events are counted.
        forks: How many sessions continued the run at the same time as another one, on another machine or in a copy.
        unflushed: How many events of a training that runs were not known to be on the disk at its last heartbeat.
    """

    id: str
    project: str | None
    name: str
    created_at: str
    state: RunState
    epochs: int
    events: int
    targets: tuple[TargetReport, ...]
    pruned: bool = False
    forks: int = 0
    unflushed: int = 0

    @property
    def is_end_unknown(self) -> bool:
        """Whether its last process recorded no end, so that nobody knows how far it was trained."""
        return self.state == "interrupted"


def make_report(connection: Connection, now: datetime) -> list[RunReport]:
    """Return a report of each run, oldest first."""
    live = live_runs(connection, now)
    pruned = prunable.pruned(connection)
    targets: dict[str, list[TargetReport]] = {}
    dead, uploads = _dead_letters(connection), _uploads_due(connection, now)
    for row in connection.execute(_TARGETS):
        key = (row.run_id, row.destination_id)
        targets.setdefault(row.run_id, []).append(_target(row, dead.get(key, ()), uploads.get(key), now))
    rows = connection.execute(_RUNS).all()
    return [_run(row, live, targets.get(row.id, ()), row.id in pruned) for row in rows]


def _run(row: Row[Any], live: Sequence[str], targets: Sequence[TargetReport], pruned: bool) -> RunReport:
    state = run_state(row.milestone, row.outcome, row.id in live)
    facts = (row.id, row.project, row.name, row.created_at, state, row.epochs, row.events, tuple(targets), pruned)
    return RunReport(*facts, forks=row.forks, unflushed=row.unflushed if row.id in live else 0)


def _uploads_due(connection: Connection, now: datetime) -> dict[tuple[str, int], str]:
    """Return when the next checkpoint that is not final is due, by run and destination."""
    live, spacing = set(live_sessions(connection, now)), timedelta(seconds=UPLOAD_SPACING_SECONDS)
    due: dict[tuple[str, int], str] = {}
    for row in connection.execute(_SPACED):
        key, at = (row.run_id, row.destination_id), row.next_attempt_at
        if row.session_id in live and row.last_upload_at <= plausible_times.latest(now):
            at = max(at, to_text(from_text(row.last_upload_at) + spacing))
        due[key] = min(at, due.get(key, at))
    return due


def run_state(milestone: str | None, outcome: str | None, live: bool) -> RunState:
    """Return the state that a run is in.

    Args:
        milestone: Kind of its last milestone, None if there is none: the run is no training, or was pruned.
        outcome: Of its last session; it determines the state if there is no milestone.
        live: Whether a session is alive.
    """
    state = of(milestone).tells_state if milestone is not None else _STATE_BY_OUTCOME.get(outcome or "")
    if state in {"finished", "failed"}:
        return state
    return "running" if live else "interrupted"


def _dead_letters(connection: Connection) -> dict[tuple[str, int], list[DeadLetter]]:
    """Return the dead letters of each run at each destination."""
    found: dict[tuple[str, int], list[DeadLetter]] = {}
    for row in connection.execute(_DEAD):
        letter = DeadLetter(row.id, row.kind, row.last_error)
        found.setdefault((row.run_id, row.destination_id), []).append(letter)
    return found


def _target(row: Row[Any], dead_letters: Sequence[DeadLetter], upload_due: str | None, now: datetime) -> TargetReport:
    oldest = min((at for at in (row.oldest_pending_at, row.oldest_unplanned_at) if at), default=None)
    return TargetReport(
        platform=row.platform,
        base_url=row.base_url,
        state=row.state,
        reason=row.reason,
        ids=json.loads(row.ids),
        unplanned=row.unplanned,
        pending=row.pending,
        delivered=row.delivered,
        dead=row.dead,
        superseded=row.superseded,
        dropped=row.dropped,
        dropped_at=row.dropped_at,
        pending_bytes=row.pending_bytes,
        oldest_at=oldest,
        next_attempt_at=min(
            (plausible_times.attempt_at(at, now) for at in (row.next_attempt_at, upload_due) if at), default=None
        ),
        is_spaced=upload_due is not None and (row.next_attempt_at is None or upload_due < row.next_attempt_at),
        last_error=row.last_error,
        dead_letters=tuple(dead_letters),
    )
