"""Trainings of a shared journal that were not heard of lately, and that may go on all the same.

Their machines write to journals of their own. While a collector is not there, or the network, nothing is heard of one,
and that tells nothing of its training. After a day it is taken for dead, as a drain notes (`interrupted.py`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, text

from journal.sessions.interrupted import LAST
from journal.sessions.liveness import live_runs
from journal.sessions.origin import ELSEWHERE, UNPACKED, Origin, origin
from journal.sessions.over import is_gone

_OPEN = text(f"{LAST} AND s.ended_at IS NULL")


def open_elsewhere(connection: Connection, now: datetime) -> frozenset[str]:
    """Return the runs of a shared journal whose trainings may go on, be they heard of or not; none of one in a file."""
    return _open(connection, now, origin(connection))


def going_on(connection: Connection, now: datetime) -> frozenset[str]:
    """Return the runs whose trainings go on, or may; of a run from a pack, too, a day of silence is an end here."""
    where = origin(connection)
    heard = replace(where, place=ELSEWHERE) if where.place == UNPACKED else where
    return _open(connection, now, heard).union(live_runs(connection, now))


def _open(connection: Connection, now: datetime, where: Origin) -> frozenset[str]:
    if not where.is_shared:
        return frozenset()
    elsewhere = (row for row in connection.execute(_OPEN) if not where.has_written(row))
    return frozenset(row.run_id for row in elsewhere if not is_gone(row, now, where))
