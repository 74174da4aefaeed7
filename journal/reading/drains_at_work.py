"""Which drains work on a shared journal, as they tell in its table of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from journal.clock import to_text, to_the_second
from journal.reading.drain_at_work import DrainAtWork, drain_told

SILENT = timedelta(seconds=120)
"""A drain that was not heard of for so long is taken for dead; what it had claimed is free by then."""
_LATE = timedelta(seconds=45)
"""One that was not heard of for so long has missed two of its beats."""
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

    One that was killed is not among them if it was on this machine, and else after some time in which it is told since
    when it was silent.

    Args:
        connection: To a shared journal.
        now: By the server's clock.
    """
    rows = connection.execute(_AT_WORK, {"since": to_text(now - SILENT)}).all()
    found = ((row, drain_told(row.told)) for row in rows)
    return [
        SharedDrain(row.id, row.version, row.started_at, row.heartbeat_at, _as_heard(told, row.heartbeat_at, now))
        for row, told in found
        if told is not None and not (told.is_here and told.is_gone)
    ]


def _as_heard(told: DrainAtWork, at: str, now: datetime) -> DrainAtWork:
    """Return what a drain told, and that it has told nothing since, if that is long ago."""
    if at >= to_text(now - _LATE):
        return told
    late = f"last heard of at {to_the_second(at)}: it may have been killed, or has lost the database"
    return replace(told, warnings=(*told.warnings, late))
