"""What waits at each destination, and since when: the figures by which people size and watch drains.

Only what is open is looked at, and the newest of what is settled, so it takes no longer in a journal that holds much.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.clock import from_text
from journal.kinds import NOT_FOR_PLATFORMS, listed

# Of a target that was dropped, nothing waits; of a blocked one, a person has to do something first.
_DESTINATIONS = text("SELECT id, platform, base_url FROM destinations ORDER BY id")
_OPEN = text(
    """
    SELECT o.destination_id, o.lane, count(*) AS deliveries, min(o.created_at) AS oldest_at,
           CAST(sum(coalesce(b.size, length(o.body))) AS BIGINT) AS bytes,
           count(CASE WHEN o.state = 'claimed' THEN 1 END) AS claimed
    FROM deliveries o LEFT JOIN blobs b ON b.sha256 = o.sha256
    WHERE o.state IN ('pending', 'claimed') GROUP BY o.destination_id, o.lane
    """
)
_UNPLANNED = text(
    f"""
    SELECT t.destination_id, count(*) AS events, min(e.created_at) AS oldest_at
    FROM targets t JOIN events e ON e.run_id = t.run_id AND e.id > t.planned_through
    WHERE t.dropped_at IS NULL AND t.state != 'blocked' AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)})
    GROUP BY t.destination_id
    """  # noqa: S608 - names of this package
)
_BLOCKED = text(
    """
    SELECT destination_id, count(*) AS runs FROM targets WHERE state = 'blocked' AND dropped_at IS NULL
    GROUP BY destination_id
    """
)
_DEAD = text(
    "SELECT destination_id, count(*) AS deliveries FROM deliveries WHERE state = 'dead' GROUP BY destination_id"
)
_LATELY = text(
    """
    SELECT destination_id, max(settled_at) AS at
    FROM (SELECT destination_id, state, settled_at FROM deliveries ORDER BY id DESC LIMIT 10000) newest
    WHERE state = 'delivered' GROUP BY destination_id
    """
)
_EVER = text("SELECT max(settled_at) FROM deliveries WHERE destination_id = :destination AND state = 'delivered'")


@dataclass(frozen=True)
class DestinationBacklog:
    """What waits for one destination.

    Attributes:
        platform: Name of its API.
        base_url: Its address; "" while nobody knows it.
        pending: Deliveries that are planned and not settled.
        messages: Those of them that are messages.
        uploads: Those that are uploads of checkpoints.
        claimed: Those that a drain makes now.
        bytes: What all of these hold.
        unplanned: Events that no delivery was made for yet.
        oldest_at: Time of the oldest event or delivery of all that, ISO, else None.
        oldest_age_seconds: How long ago that was, None where nothing waits.
        dead: Deliveries that the platform refused for good.
        blocked: Runs that it refuses as a whole.
        last_delivery_at: When a delivery arrived there for the last time, as far as is known, ISO, else None.
    """

    platform: str
    base_url: str
    pending: int
    messages: int
    uploads: int
    claimed: int
    bytes: int
    unplanned: int
    oldest_at: str | None
    oldest_age_seconds: float | None
    dead: int
    blocked: int
    last_delivery_at: str | None


def backlog_figures(connection: Connection, now: datetime) -> list[DestinationBacklog]:
    """Return what waits for each destination, in the order in which these became known.

    Args:
        connection: Any.
        now: The current time.
    """
    opened = {(row.destination_id, row.lane): row for row in connection.execute(_OPEN)}
    unplanned = {row.destination_id: row for row in connection.execute(_UNPLANNED)}
    blocked = {row.destination_id: row.runs for row in connection.execute(_BLOCKED)}
    dead = {row.destination_id: row.deliveries for row in connection.execute(_DEAD)}
    lately = {row.destination_id: row.at for row in connection.execute(_LATELY)}
    found = []
    for row in connection.execute(_DESTINATIONS).all():
        lanes = {lane: opened[row.id, lane] for lane in ("message", "upload") if (row.id, lane) in opened}
        beside = {
            "dead": dead.get(row.id, 0),
            "blocked": blocked.get(row.id, 0),
            "last_delivery_at": lately.get(row.id) or connection.execute(_EVER, {"destination": row.id}).scalar(),
        }
        found.append(_figures(row, lanes, unplanned.get(row.id), beside, now))
    return found


def _figures(
    row: Row[Any], lanes: dict[str, Row[Any]], unplanned: Row[Any] | None, beside: dict[str, Any], now: datetime
) -> DestinationBacklog:
    waits = [one.oldest_at for one in (*lanes.values(), unplanned) if one is not None]
    counts = {lane: one.deliveries for lane, one in lanes.items()}
    return DestinationBacklog(
        platform=row.platform,
        base_url=row.base_url,
        pending=sum(counts.values()),
        messages=counts.get("message", 0),
        uploads=counts.get("upload", 0),
        claimed=sum(one.claimed for one in lanes.values()),
        bytes=sum(one.bytes for one in lanes.values()),
        unplanned=unplanned.events if unplanned is not None else 0,
        oldest_at=min(waits, default=None),
        oldest_age_seconds=_age(min(waits), now) if waits else None,
        **beside,
    )


def _age(at: str, now: datetime) -> float | None:
    """Return how long ago a time was, never less than 0: clocks differ; None where it is no time."""
    try:
        return max(0.0, round((now - from_text(at)).total_seconds(), 3))
    except ValueError:
        return None
