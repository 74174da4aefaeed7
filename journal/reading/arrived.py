"""How much of one run has arrived, for the last line of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from journal.kinds import NOT_FOR_PLATFORMS, listed


@dataclass(frozen=True)
class Arrived:
    """How much of one run has arrived at one destination.

    Attributes:
        platform: Name of the platform's API; "" for a run that goes nowhere yet.
        base_url: Where it is; "" if nobody knows yet.
        delivered: Deliveries that the platform confirmed.
        pending: Deliveries still to be made.
        unplanned: Events that no delivery was made for yet.
        dead: Deliveries that the platform refused for good.
    """

    platform: str
    base_url: str
    delivered: int
    pending: int
    unplanned: int
    dead: int


_EVENTS = f"(SELECT count(*) FROM events e WHERE e.run_id = :run AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)})"  # noqa: S608 - constants
_OF_STATE = (
    "(SELECT count(*) FROM deliveries x WHERE x.run_id = :run AND x.destination_id = t.destination_id AND x.state"
)
_ARRIVED = text(
    f"""
    SELECT d.platform, d.base_url, {_OF_STATE} = 'delivered') AS delivered,
           {_OF_STATE} IN ('pending', 'claimed')) AS pending,
           {_EVENTS} AND e.id > t.planned_through) AS unplanned, {_OF_STATE} = 'dead') AS dead
    FROM targets t JOIN destinations d ON d.id = t.destination_id
    WHERE t.run_id = :run AND t.dropped_at IS NULL
    ORDER BY d.id
    """  # noqa: S608 - constants of this module
)
_NOWHERE = text(
    f"SELECT '' AS platform, '' AS base_url, 0 AS delivered, 0 AS pending, {_EVENTS}) AS unplanned, 0 AS dead"
)


def arrived(connection: Connection, run_id: str) -> Sequence[Arrived]:
    """Return how much of a run has arrived at each of its destinations; what goes nowhere yet, as one without a name.

    Args:
        connection: To the journal's database.
        run_id: The run.
    """
    values = {"run": run_id}
    rows = connection.execute(_ARRIVED, values).all() or connection.execute(_NOWHERE, values).all()
    return [Arrived(**row._asdict()) for row in rows]
