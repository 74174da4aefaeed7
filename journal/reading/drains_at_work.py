"""Which drains work on a shared journal, as they tell in its table of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from journal.clock import to_text
from journal.reading.drain_at_work import DrainAtWork, drain_told

SILENT = timedelta(seconds=120)
"""A drain that was not heard of for so long is taken for dead; what it had claimed is free by then."""
_AT_WORK = text("SELECT * FROM drains WHERE heartbeat_at >= :since ORDER BY started_at, id")


@dataclass(frozen=True)
class SharedDrain:
    """A drain of a shared journal. Times are by the server's clock, ISO.

    Attributes:
        id: Uuid.
        version: Of this package.
        started_at: When it began.
        heartbeat_at: When it was last heard of; it is every 20 seconds.
        told: What it told of itself then.
    """

    id: str
    version: str
    started_at: str
    heartbeat_at: str
    told: DrainAtWork


def drains_at_work(connection: Connection, now: datetime) -> list[SharedDrain]:
    """Return the drains that work on a shared journal, the first to begin first.

    Args:
        connection: To a shared journal.
        now: By the server's clock.
    """
    rows = connection.execute(_AT_WORK, {"since": to_text(now - SILENT)}).all()
    found = ((row, drain_told(row.told)) for row in rows)
    return [
        SharedDrain(row.id, row.version, row.started_at, row.heartbeat_at, told)
        for row, told in found
        if told is not None
    ]
