"""Where runs go: destinations, and the (run, destination) rows called targets."""

from __future__ import annotations

from sqlalchemy import Connection, case, exists, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from journal import tables
from journal.errors import UnknownRow
from journal.records import REGISTRATION, Destination


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


def route(connection: Connection, run_id: str, platform: str, base_url: str) -> Destination:
    """Send the run to the platform at this address."""
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
