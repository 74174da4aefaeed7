"""Reading which runs there are, and where they go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, distinct, exists, func, or_, select

from journal.kinds import REGISTRATION
from journal.records import Claim, Destination, Run, Target
from journal.schema import plausible_times, tables

_D = tables.deliveries
_E = tables.events
_R = tables.runs
_T = tables.targets


def runs(connection: Connection) -> list[Run]:
    """Return all runs, oldest first."""
    return [Run(**row._asdict()) for row in connection.execute(select(_R).order_by(_R.c.created_at))]


def unrouted_runs(connection: Connection, run_ids: Sequence[str] | None) -> list[Run]:
    """Return the runs (of those named) that go nowhere yet."""
    query = select(_R).where(_R.c.id.not_in(select(_T.c.run_id)))
    if run_ids is not None:
        query = query.where(_R.c.id.in_(run_ids))
    return [Run(**row._asdict()) for row in connection.execute(query)]


def targets(
    connection: Connection,
    destination_id: int | None,
    run_ids: Sequence[str] | None,
    *,
    behind: bool = False,
    dropped: bool = False,
    state: str | None = None,
    after: Run | None = None,
    limit: int | None = None,
) -> list[Target]:
    """Return the (run, destination) pairs, oldest run first; see `Outbox.targets`.

    Those that were given up are left out, unless `dropped`.
    """
    query = (
        select(_T, _R, tables.destinations)
        .join(_R, _R.c.id == _T.c.run_id)
        .join(tables.destinations, tables.destinations.c.id == _T.c.destination_id)
        .limit(limit)
    )
    if after is not None:
        number = select(tables.RUN_NUMBER).where(_R.c.id == after.id).scalar_subquery()
        query = query.order_by((number < tables.RUN_NUMBER).desc())
    query = query.order_by(tables.RUN_NUMBER)
    if state is not None:
        query = query.where(_T.c.state == state)
    if not dropped:
        query = query.where(_T.c.dropped_at.is_(None))
    if destination_id is not None:
        query = query.where(_T.c.destination_id == destination_id)
    if run_ids is not None:
        query = query.where(_T.c.run_id.in_(run_ids))
    if behind:
        unplanned = exists().where(_E.c.run_id == _T.c.run_id, _E.c.id > _T.c.planned_through)
        is_resumed = and_(_T.c.ids != "{}", unplanned.where(_E.c.kind == REGISTRATION))
        query = query.where(unplanned, ~_is_registering(), or_(_T.c.state != "blocked", is_resumed))
    return [_target(row) for row in connection.execute(query)]


def registering(connection: Connection, destination_id: int, run_ids: Sequence[str] | None, now: datetime) -> int:
    """Return how many runs there have a registration that was planned and is due, or under way."""
    query = (
        select(func.count(distinct(_D.c.run_id)))
        .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
        .where(_D.c.destination_id == destination_id, _D.c.kind == REGISTRATION, tables.is_open(_D))
        .where(_T.c.state == "new", plausible_times.attempt_is_due())
    )
    if run_ids is not None:
        query = query.where(_D.c.run_id.in_(run_ids))
    return int(connection.execute(query, plausible_times.values(now)).scalar_one())


def model_of_another(connection: Connection, claim: Claim, model_id: object) -> str | None:
    """Return the name of another run that the claim's destination calls by the same id, else None."""
    query = (
        select(_R.c.name)
        .join(_T, _T.c.run_id == _R.c.id)
        .where(_T.c.destination_id == claim.destination_id, _T.c.run_id != claim.run.id, _T.c.state == "registered")
        .where(func.json_extract(_T.c.ids, "$.modelId") == model_id)
    )
    return connection.execute(query.limit(1)).scalar_one_or_none()


def _is_registering() -> ColumnElement[bool]:
    """Return the condition for targets that nothing can be sent to but a registration, which is planned already.

    Their stage does not tell it: what the registration went behind, when it was in a fallback file, has a stage too.
    """
    planned = exists().where(
        _D.c.destination_id == _T.c.destination_id,
        _D.c.run_id == _T.c.run_id,
        _D.c.kind == REGISTRATION,
        tables.is_open(_D),
    )
    return and_(_T.c.state == "new", planned)


def _target(row: Row[Any]) -> Target:
    run = Run(row.run_id, row.project, row.name, row.save_dir, row.created_at)
    destination = Destination(row.destination_id, row.platform, row.base_url)
    ids = json.loads(row.ids)
    return Target(run, destination, row.state, row.reason, ids, row.planned_through, row.stage, row.dropped_at)
