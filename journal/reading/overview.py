"""Every run of a journal at a glance: what state it is in, and what of it has not arrived.

It takes no longer for runs that are long, or that have arrived, so `status` can sort thousands of them and look closer
at those that it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from journal.kinds import COMPLETE, MILESTONES, RunState, listed, of
from journal.reading.remaining import Remaining, remaining
from journal.records import CANCELLED
from journal.retention import prunable
from journal.sessions.liveness import live_runs
from journal.sessions.over import LAST_EVENT
from journal.sessions.silent import open_elsewhere

# Only of a session without an end its newest event is looked at: its time stands behind a payload that may be large.
_HEARD = f"""
    max(coalesce(s.ended_at, ''), s.heartbeat_at, s.started_at,
        CASE WHEN s.ended_at IS NULL THEN coalesce({LAST_EVENT}, '') ELSE '' END)
    """
_RUNS = text(
    f"""
    SELECT r.id, r.project, r.name, r.save_dir, r.created_at,
           (SELECT max({_HEARD}) FROM sessions s WHERE s.run_id = r.id AND s.purpose IS NULL) AS last_sign_at,
           (SELECT sum(max(0.0, 86400 * (julianday({_HEARD}) - julianday(s.started_at))))
            FROM sessions s WHERE s.run_id = r.id AND s.purpose IS NULL) AS seconds,
           (SELECT outcome FROM sessions s WHERE s.run_id = r.id AND s.purpose IS NULL
            ORDER BY s.generation DESC, id DESC LIMIT 1) AS outcome,
           (SELECT count(*) - count(DISTINCT s.generation) FROM sessions s
            WHERE s.run_id = r.id AND s.purpose IS NULL) AS forks,
           (SELECT count(*) FROM sessions s
            JOIN events e ON e.session_id = s.id AND e.seq > s.flushed_seq AND e.created_at < s.heartbeat_at
            WHERE s.run_id = r.id AND s.ended_at IS NULL) AS unflushed
    FROM runs r ORDER BY r.created_at
    """  # noqa: S608 - a name of this package
)
# Of each session the last one, which stands near its end, where it is looked for: its number, and what it is.
_MILESTONES = text(
    f"""
    SELECT s.run_id, s.generation, (SELECT e.seq || ' ' || e.kind FROM events e
                                    WHERE e.session_id = s.id AND e.kind IN ({listed(MILESTONES)})
                                    ORDER BY e.seq DESC LIMIT 1) AS last
    FROM sessions s
    """  # noqa: S608 - names of this package
)
# A platform told the run's last session to stop, and after that it recorded its end.
_CANCELLED = text(
    f"""
    SELECT g.run_id FROM signals g JOIN events e ON e.session_id = g.session_id AND e.kind = '{COMPLETE}'
    WHERE g.kind = '{CANCELLED}' AND g.created_at <= e.created_at
      AND g.session_id = (SELECT s.id FROM sessions s WHERE s.run_id = g.run_id AND s.purpose IS NULL
                          ORDER BY s.generation DESC, s.id DESC LIMIT 1)
    """  # noqa: S608 - names of this package
)
_STATE_BY_OUTCOME: Mapping[str, RunState] = {"complete": "finished", "failed": "failed"}


@dataclass(frozen=True, kw_only=True)
class RunOverview:
    """One run and what remains of it.

    Attributes:
        id: Uuid.
        project: Slug, or None.
        name: Slug.
        save_dir: Where it was trained.
        created_at: ISO time.
        last_sign_at: When its training was last heard of, ISO.
        seconds: How long its sessions took until then, all together.
        state: `running` while a session is alive; `silent` when nothing was heard of it lately, and it may go on where
            that does not come in from; `interrupted` when no session is alive and it neither finished nor failed;
            `cancelled` when it ended after a platform had told it to stop.
        targets: What remains of it, by the id of each destination.
        pruned: Whether events were deleted, after delivery or by an eviction.
        forks: How many sessions continued the run at the same time as another one, on another machine or in a copy.
        unflushed: How many events of a training that runs were not known to be on the disk at its last heartbeat.
    """

    id: str
    project: str | None
    name: str
    save_dir: str
    created_at: str
    last_sign_at: str
    seconds: float
    state: RunState
    targets: Mapping[int, Remaining]
    pruned: bool
    forks: int
    unflushed: int


def overview(connection: Connection, now: datetime) -> list[RunOverview]:
    """Return each run, oldest first."""
    live, pruned = set(live_runs(connection, now)), prunable.pruned(connection)
    milestones = _milestones(connection)
    left, told_to_stop = remaining(connection, now), cancelled(connection)
    rows = connection.execute(_RUNS).all()
    states: dict[str, RunState] = {
        row.id: run_state(milestones.get(row.id), row.outcome, row.id in live, was_cancelled=row.id in told_to_stop)
        for row in rows
    }
    if "interrupted" in states.values():
        states |= {run: "silent" for run in open_elsewhere(connection, now) if states[run] == "interrupted"}
    return [
        RunOverview(
            id=row.id,
            project=row.project,
            name=row.name,
            save_dir=row.save_dir,
            created_at=row.created_at,
            last_sign_at=row.last_sign_at or row.created_at,
            seconds=round(row.seconds or 0.0, 3),
            state=states[row.id],
            targets=left.get(row.id, {}),
            pruned=row.id in pruned,
            forks=row.forks,
            unflushed=row.unflushed if row.id in live else 0,
        )
        for row in rows
    ]


def _milestones(connection: Connection) -> Mapping[str, str]:
    """Return the kind of the last milestone of each run that has one."""
    found: dict[str, tuple[int, int, str]] = {}
    for run_id, generation, last in connection.execute(_MILESTONES):
        if last is not None:
            seq, _, kind = last.partition(" ")
            found[run_id] = max(found.get(run_id, (0, 0, "")), (generation, int(seq), kind))
    return {run_id: kind for run_id, (_, _, kind) in found.items()}


def cancelled(connection: Connection) -> frozenset[str]:
    """Return the runs whose last session a platform had told to stop before it recorded its end."""
    return frozenset(connection.execute(_CANCELLED).scalars())


def run_state(milestone: str | None, outcome: str | None, live: bool, *, was_cancelled: bool = False) -> RunState:
    """Return the state that a run is in; one that is interrupted may only be silent.

    Args:
        milestone: Kind of its last milestone, None if there is none: the run is no training, or was pruned.
        outcome: Of its last session; it determines the state if there is no milestone.
        live: Whether a session is alive.
        was_cancelled: Whether a platform told it to stop before its end.
    """
    state = of(milestone).tells_state if milestone is not None else _STATE_BY_OUTCOME.get(outcome or "")
    if state == "finished" and was_cancelled:
        return "cancelled"
    if state in {"finished", "failed"}:
        return state
    return "running" if live else "interrupted"
