"""The state of a journal in numbers, for `status` and the summary of a drain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.kinds import RunState
from journal.reading.overview import RunOverview, overview
from journal.reading.remaining import Key, Remaining
from journal.schema.tables import epochs

_COUNTS = text(
    f"""
    SELECT r.id, {epochs("r")} AS epochs, (SELECT count(*) FROM events e WHERE e.run_id = r.id) AS events
    FROM runs r WHERE CAST(:run AS TEXT) IS NULL OR r.id = :run
    """  # noqa: S608 - a constant of `tables`
)
_SETTLED = text(
    """
    SELECT x.run_id, x.destination_id,
           count(CASE WHEN x.state = 'delivered' THEN 1 END) AS delivered,
           count(CASE WHEN x.state = 'superseded' THEN 1 END) AS superseded,
           count(CASE WHEN x.state = 'dropped' THEN 1 END) AS dropped
    FROM deliveries x WHERE CAST(:run AS TEXT) IS NULL OR x.run_id = :run GROUP BY x.run_id, x.destination_id
    """
)


@dataclass(frozen=True, kw_only=True)
class TargetReport(Remaining):
    """One run at one destination.

    Attributes:
        delivered: Deliveries that the platform confirmed.
        superseded: Deliveries that newer ones replace: of checkpoints, or of an older session's late events.
        dropped: Deliveries that a person dropped.
    """

    delivered: int
    superseded: int
    dropped: int


@dataclass(frozen=True)
class RunReport:
    """One run and where it goes.

    Attributes:
        id: Uuid.
        project: Slug, or None.
        name: Slug.
        created_at: ISO time.
        state: See `journal.reading.overview.RunOverview`.
        epochs: How many epochs were trained; the final evaluation is none.
        events: How many events the journal holds.
        targets: One for each destination; none before the first drain when no destination was chosen.
        pruned: Whether events were deleted, after delivery or by an eviction. Only later events are counted.
        forks: How many sessions continued the run at the same time as another one, on another machine or in a copy.
        unflushed: How many events of a training that runs were not known to be on the disk at its last heartbeat.
        last_sign_at: When its training was last heard of, ISO.
        save_dir: Where it was trained.
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
    last_sign_at: str = ""
    save_dir: str = ""


def make_report(connection: Connection, now: datetime, run_id: str | None = None) -> list[RunReport]:
    """Return a report of each run, oldest first.

    Args:
        connection: Any.
        now: The current time.
        run_id: Only of this run; None for all.
    """
    runs, only = overview(connection, now), {"run": run_id}
    settled = {(row.run_id, row.destination_id): row for row in connection.execute(_SETTLED, only)}
    counts = {row.id: row for row in connection.execute(_COUNTS, only)}
    return [_run(run, counts[run.id], settled) for run in runs if run.id in counts]


def _run(run: RunOverview, counts: Row[Any], settled: Mapping[Key, Row[Any]]) -> RunReport:
    targets = tuple(_target(one, settled.get((run.id, place))) for place, one in run.targets.items())
    return RunReport(
        run.id,
        run.project,
        run.name,
        run.created_at,
        run.state,
        counts.epochs,
        counts.events,
        targets,
        pruned=run.pruned,
        forks=run.forks,
        unflushed=run.unflushed,
        last_sign_at=run.last_sign_at,
        save_dir=run.save_dir,
    )


def _target(left: Remaining, settled: Row[Any] | None) -> TargetReport:
    if settled is None:
        return TargetReport(**vars(left), delivered=0, superseded=0, dropped=0)
    counts = {"delivered": settled.delivered, "superseded": settled.superseded, "dropped": settled.dropped}
    return TargetReport(**vars(left), **counts)
