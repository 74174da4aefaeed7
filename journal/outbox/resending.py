"""Sending a run again whole, and announcing one that was not taken under another project or name.

What is sent again is another delivery of the same events: its row is a new one, and its chunk id that of the first with
`.2`, `.3`, … behind it, so that a platform which honours idempotency keys does not take it for the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, insert, not_, or_, select, update

from journal.clock import now_text
from journal.errors import UnknownRow
from journal.kinds import REGISTRATION
from journal.outbox import coverage, verifications
from journal.records import FORMER_PROJECTS, MODEL_ID, Run
from journal.schema import tables

_D = tables.deliveries
_T = tables.targets
_IS_NAMELESS = func.json_extract(_T.c.ids, f"$.{MODEL_ID}").is_(None)
"""The condition for targets whose platform gave the run no id: it knows it by project and name, or not at all."""
_NOT_COPIED = ("id", "chunk_id", "state", "next_attempt_at", "held", "owner", "lease_until", "settled_at", "receipt")


@dataclass(frozen=True)
class Renamed:
    """What became of a run's project or name.

    Attributes:
        run: The run as it is called now.
        announced_anew: Registrations that go out again with the next drain.
        kept: Base URLs of the destinations that know the run already, and keep what they call it.
    """

    run: Run
    announced_anew: int
    kept: tuple[str, ...]


def resend(connection: Connection, run_id: str, destination_id: int) -> int:
    """Plan a run again at a destination from its first event; return how many events it has.

    What the platform called the run is kept: it is asked to go on with that model, and one that is gone there is made
    anew. Deliveries of before are superseded; a drain that has one under way finds its claim overtaken.

    Args:
        connection: In a write transaction.
        run_id: Uuid of the run.
        destination_id: Where to; it is restored if it was dropped.
    """
    here = (_D.c.run_id == run_id, _D.c.destination_id == destination_id)
    gone = {"state": "superseded", "settled_at": now_text(), "owner": None, "lease_until": None}
    connection.execute(update(_D).where(*here, _D.c.state != "superseded").values(gone))
    coverage.forget(connection, *here)
    verifications.forget(connection, run_id, destination_id)
    connection.execute(
        update(_T)
        .where(_T.c.run_id == run_id, _T.c.destination_id == destination_id)
        .values(
            state="new",
            reason=None,
            planned_through=0,
            stage=0,
            dropped_at=None,
        )
    )
    events = select(func.count()).select_from(tables.events).where(tables.events.c.run_id == run_id)
    return int(connection.execute(events).scalar_one())


def rename(connection: Connection, run_id: str, project: str | None, name: str | None) -> Renamed:
    """Give a run another project or name, for the destinations that do not know it yet.

    A message names project and run when it is sent, so what was never sent stays as it is. A registration that was sent
    and not taken goes out under a new chunk id: under its own, another project would be another request.

    Args:
        connection: In a write transaction.
        run_id: Uuid of the run.
        project: The new project; None for the one it has.
        name: The new name; None for the one it has.

    Raises:
        UnknownRow: Every destination knows the run already, or one of them by its project and name alone.
    """
    destinations = connection.execute(_known_there(run_id)).all()
    known = [destination for destination in destinations if destination.is_known]
    if any(destination.is_nameless for destination in known):
        raise UnknownRow(f"{_urls(known)} knows the run by its project and name, so both have to stay as they are")
    if destinations and len(known) == len(destinations):
        raise UnknownRow(f"the run has its place at {_urls(known)} already; rename its model there")
    chosen = {"project": project, "name": name}
    table = tables.runs
    before = connection.execute(select(table.c.project).where(table.c.id == run_id)).scalar_one()
    values = {column: value for column, value in chosen.items() if value is not None}
    connection.execute(update(table).where(table.c.id == run_id).values(values))
    anew = sum(
        _announce_anew(connection, run_id, destination.id, before)
        for destination in destinations
        if not destination.is_known
    )
    run = Run(**connection.execute(select(table).where(table.c.id == run_id)).one()._asdict())
    return Renamed(run, anew, tuple(destination.base_url for destination in known))


def _known_there(run_id: str) -> Select[tuple[int, str, bool, bool]]:
    """Return the query for a run's destinations, and whether each has taken the run."""
    taken = (
        select(_D.c.id)
        .where(
            _D.c.run_id == _T.c.run_id,
            _D.c.destination_id == _T.c.destination_id,
            _D.c.kind == REGISTRATION,
            _D.c.state == "delivered",
        )
        .exists()
    )
    place = tables.destinations
    is_known = or_(not_(_IS_NAMELESS), _T.c.state == "registered", taken).label("is_known")
    return (
        select(place.c.id, place.c.base_url, _IS_NAMELESS.label("is_nameless"), is_known)
        .join(_T, _T.c.destination_id == place.c.id)
        .where(_T.c.run_id == run_id, _T.c.dropped_at.is_(None))
    )


def _announce_anew(connection: Connection, run_id: str, destination_id: int, project: str | None) -> int:
    """Put new rows in the place of registrations that were tried, and let the run be announced; return how many.

    One of them may have been taken, and its answer lost: the old row notes the projects that it was sent to.
    """
    here = (_D.c.run_id == run_id, _D.c.destination_id == destination_id, _D.c.kind == REGISTRATION)
    was_tried = or_(_D.c.state == "dead", and_(_D.c.state.in_(("pending", "claimed")), _D.c.fence > 0))
    tried = connection.execute(select(_D).where(*here, was_tried)).all()
    for row in tried:
        _replace(connection, row, project, now_text())
    target = (_T.c.run_id == run_id, _T.c.destination_id == destination_id, _T.c.state == "blocked")
    connection.execute(update(_T).where(*target).values(state="new", reason=None))
    return len(tried)


def _replace(connection: Connection, row: Row[Any], project: str | None, now: str) -> None:
    """Supersede a registration by a new row with the same content; where it was sent to is noted in the old one."""
    unnoted = json.dumps({FORMER_PROJECTS: [project or ""]})  # an earlier version tried it
    gone = {"state": "superseded", "settled_at": now, "owner": None, "lease_until": None}
    connection.execute(update(_D).where(_D.c.id == row.id).values(**gone, receipt=row.receipt or unnoted))
    kept = {column: value for column, value in row._asdict().items() if column not in _NOT_COPIED}
    again = next_chunk_id(connection, row.chunk_id)
    new = {"chunk_id": again, "state": "pending", "next_attempt_at": now, "held": 0}
    connection.execute(insert(_D).values({**kept, **new}))


def next_chunk_id(connection: Connection, chunk_id: str) -> str:
    """Return the id for sending again what was sent under a chunk id, or under one that was made from it."""
    base = chunk_id.partition(".")[0]
    sent = select(func.count()).where(_D.c.chunk_id >= base, _D.c.chunk_id < f"{base}/")  # what sorts behind `.`
    return f"{base}.{connection.execute(sent).scalar_one() + 1}"


def _urls(destinations: Iterable[Row[tuple[int, str, bool, bool]]]) -> str:
    return " and ".join(str(destination.base_url) for destination in destinations)
