"""What goes with a registration: the run's sessions, and the projects that it was sent to before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, select, update

from journal.records import FORMER_PROJECTS
from journal.schema import tables

_D = tables.deliveries
_S = tables.sessions


@dataclass(frozen=True)
class Announcement:
    """What goes with a registration, and with nothing else.

    Attributes:
        sessions: Uuids of the run's sessions.
        former_projects: Where it, and those that it takes the place of, were sent before; "" for the default project.
    """

    sessions: frozenset[str] = frozenset()
    former_projects: tuple[str, ...] = ()


def announce(
    connection: Connection, registrations: Sequence[Row[Any]], default_project: str
) -> dict[int, Announcement]:
    """Return what goes with registrations, by delivery, and note where they are sent now.

    Args:
        connection: In a write transaction.
        registrations: Rows of deliveries as they were just before they were taken.
        default_project: Of runs that named none. The next drain may have another.
    """
    _note(connection, registrations, default_project)
    runs = {row.run_id for row in registrations}
    query = select(_S.c.run_id, _S.c.uuid).where(_S.c.run_id.in_(runs), _S.c.uuid.is_not(None))
    found = connection.execute(query).all()
    return {
        row.id: Announcement(
            frozenset(session.uuid for session in found if session.run_id == row.run_id),
            _former_projects(connection, row) if row.attempts else (),
        )
        for row in registrations
    }


_NOTE = update(_D).where(_D.c.id == bindparam("noted")).values(receipt=bindparam("note"))


def _note(connection: Connection, registrations: Sequence[Row[Any]], default_project: str) -> None:
    """Note to which projects registrations are sent, before they are: their answers may be lost."""
    notes = [
        {
            "noted": row.id,
            "note": json.dumps({FORMER_PROJECTS: sorted({*_noted(row.receipt), row.project or default_project})}),
        }
        for row in registrations
    ]
    connection.execute(_NOTE, notes)


def _noted(receipt: str | None) -> list[str]:
    """Return the projects that a registration's row names; a damaged one names none."""
    try:
        note = json.loads(receipt or "{}")
    except (ValueError, RecursionError):
        return []
    projects = note.get(FORMER_PROJECTS) if isinstance(note, dict) else None
    return [each for each in projects if isinstance(each, str)] if isinstance(projects, list) else []


def _former_projects(connection: Connection, row: Row[Any]) -> tuple[str, ...]:
    """Return where a registration, and those that it takes the place of, were sent before."""
    receipts = connection.execute(select(_D.c.receipt).where(*_replaced_by(row))).scalars()
    return tuple({project for receipt in (*receipts, row.receipt) for project in _noted(receipt)})


def _replaced_by(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the deliveries of the same event there that were superseded: by their chunk ids."""
    base = row.chunk_id.partition(".")[0]
    return (_D.c.chunk_id >= base, _D.c.chunk_id < f"{base}/", _D.c.state == "superseded")
