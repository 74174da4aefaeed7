"""Sending runs somewhere else than to an address at which nobody ever was, such as a mistyped one.

Whether it was mistyped, or its server is only away, no drain can tell; so this is for a person to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from journal.errors import UnknownRow
from journal.outbox import dropping, targets
from journal.schema import tables

_D = tables.deliveries
_P = tables.destinations
_T = tables.targets


@dataclass(frozen=True)
class Redirected:
    """What goes somewhere else now.

    Attributes:
        runs: Ids of the runs that do.
        kept: Ids of those that stay as well, because something of them may have arrived where they go.
    """

    runs: tuple[str, ...]
    kept: tuple[str, ...]


def redirect(
    connection: Connection, run_ids: Sequence[str] | None, platform: str, base_url: str, *, origin: int | None = None
) -> Redirected:
    """Send runs to another address of a platform, in place of those at which nothing of them was ever sent.

    Args:
        connection: In a write transaction.
        run_ids: Uuids of the runs; None for all.
        platform: Name of the API.
        base_url: Where to.
        origin: Only in place of this destination.

    Raises:
        UnknownRow: None of them goes to another address, or something of each may have arrived there.
    """
    there = [_T.c.dropped_at.is_(None), _P.c.platform == platform, _P.c.base_url != base_url]
    there += [] if run_ids is None else [_T.c.run_id.in_(run_ids)]
    there += [] if origin is None else [_T.c.destination_id == origin]
    joined = select(_T.c.run_id, _T.c.destination_id, _is_untouched().label("is_untouched")).join(
        _P, _P.c.id == _T.c.destination_id
    )
    found = connection.execute(joined.where(*there)).all()
    if not found:
        raise UnknownRow("none of these runs goes there")
    moved = [row for row in found if row.is_untouched]
    kept = tuple({row.run_id for row in found if not row.is_untouched})
    if not moved:
        raise UnknownRow("something was sent there of each of these runs, and may have arrived")
    for row in moved:
        dropping.unbind(connection, row.run_id, row.destination_id)
        targets.route(connection, row.run_id, platform, base_url)
    return Redirected(tuple(dict.fromkeys(row.run_id for row in moved)), kept)


def _is_untouched() -> ColumnElement[bool]:
    """Return the condition for targets to which no request was ever made: what found nobody does not count."""
    begun = exists().where(
        _D.c.run_id == _T.c.run_id,
        _D.c.destination_id == _T.c.destination_id,
        or_(_D.c.attempts > 0, _D.c.state.not_in(("pending", "superseded"))),
    )
    return and_(_T.c.state == "new", _T.c.ids == "{}", ~begun)
