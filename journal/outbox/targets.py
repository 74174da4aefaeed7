"""Where runs go: destinations, and the (run, destination) rows called targets.

A platform that was chosen by its name, while nobody knew its address, is a destination without one (""). Nothing is
planned for it. The first address of that platform which the run is given takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, case, delete, exists, or_, select, update

from journal.errors import UnknownRow
from journal.kinds import REGISTRATION
from journal.records import Destination, Run, Target
from journal.schema import tables
from journal.schema.neutral import upsert

_P = tables.destinations
_R = tables.runs
_T = tables.targets

TARGETS = (
    select(_T, _R, _P)
    .join(_R, _R.c.id == _T.c.run_id)
    .join(_P, _P.c.id == _T.c.destination_id)
    .order_by(tables.RUN_NUMBER)
)
"""The statement for all of them, oldest run first."""


def targets(
    connection: Connection, run_ids: Sequence[str] | None, *, destination_id: int | None = None, dropped: bool = False
) -> list[Target]:
    """Return where runs go.

    Args:
        connection: Any.
        run_ids: Only these runs; None for all.
        destination_id: Only what goes there.
        dropped: Those that were dropped, too.
    """
    query = TARGETS
    if not dropped:
        query = query.where(_T.c.dropped_at.is_(None))
    if destination_id is not None:
        query = query.where(_T.c.destination_id == destination_id)
    if run_ids is not None:
        query = query.where(_T.c.run_id.in_(run_ids))
    return [from_row(row) for row in connection.execute(query)]


def from_row(row: Row[Any]) -> Target:
    """Return a row of `TARGETS`."""
    run = Run(row.run_id, row.project, row.name, row.save_dir, row.created_at)
    destination = Destination(row.destination_id, row.platform, row.base_url)
    ids = json.loads(row.ids)
    return Target(run, destination, row.state, row.reason, ids, row.planned_through, row.stage, row.dropped_at)


def ids_of(row: Row[Any]) -> dict[str, Any]:
    """Return what the platform calls the run of a row of `targets`."""
    ids: dict[str, Any] = json.loads(row.ids)
    return ids


def add_destination(connection: Connection, platform: str, base_url: str) -> Destination:
    """Return the destination, made if it is new."""
    table, base_url = tables.destinations, base_url.rstrip("/")
    values = {"platform": platform, "base_url": base_url}
    connection.execute(upsert(table).values(values).on_conflict_do_nothing())
    query = select(table).where(table.c.platform == platform, table.c.base_url == base_url)
    return Destination(**connection.execute(query).one()._asdict())


def add_target(connection: Connection, run_id: str, destination_id: int) -> None:
    """Send the run to the destination; a target that exists is left as it is.

    Raises:
        UnknownRow: There is no such run.
    """
    run = connection.execute(select(tables.runs).where(tables.runs.c.id == run_id)).first()
    if run is None:
        raise UnknownRow(f"the journal holds no run {run_id}")
    values = {
        "run_id": run_id,
        "destination_id": destination_id,
        "state": "new",
        "ids": "{}",
        "planned_through": 0,
        "stage": 0,
        "last_upload_at": run.created_at,  # the first upload waits as if the run's start had been one
    }
    connection.execute(upsert(tables.targets).values(values).on_conflict_do_nothing())
    _forget_unaddressed(connection, run_id)


def _forget_unaddressed(connection: Connection, run_id: str) -> None:
    """Remove targets without an address where the run has another of the same platform."""
    target, place = tables.targets, tables.destinations
    other, there = target.alias(), place.alias()
    addressed = select(there.c.platform).where(
        other.c.run_id == run_id, other.c.destination_id == there.c.id, there.c.base_url != ""
    )
    settled = select(place.c.id).where(place.c.base_url == "", place.c.platform.in_(addressed))
    connection.execute(delete(target).where(target.c.run_id == run_id, target.c.destination_id.in_(settled)))


def route(connection: Connection, run_id: str, platform: str, base_url: str) -> Destination:
    """Send the run to the platform at this address; "" leaves it to the first drain that knows one."""
    destination = add_destination(connection, platform, base_url)
    add_target(connection, run_id, destination.id)
    return destination


def unblock(connection: Connection, run_id: str, destination_id: int) -> None:
    """Let a target that the platform refused be tried again; an older server registers without giving ids."""
    target, delivery = tables.targets, tables.deliveries
    registered = exists().where(
        delivery.c.run_id == run_id,
        delivery.c.destination_id == destination_id,
        delivery.c.kind == REGISTRATION,
        delivery.c.state == "delivered",
    )
    connection.execute(
        update(target)
        .where(target.c.run_id == run_id, target.c.destination_id == destination_id, target.c.state == "blocked")
        .values(state=case((or_(target.c.ids != "{}", registered), "registered"), else_="new"), reason=None)
    )
