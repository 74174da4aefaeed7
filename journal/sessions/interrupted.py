"""Recording that a training was interrupted: its process is dead, and platforms would show it as running for ever.

This is a kind of event of its own, not the end that a training records itself. In the journal such a run is
interrupted; when it is resumed, its next start supersedes this event.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text

from journal.clock import now_text
from journal.encoding import encode
from journal.kinds import INTERRUPTED, MILESTONES, listed, of
from journal.schema import tables
from journal.schema.tables import RANK
from journal.sessions import session_rows
from journal.sessions.identity import Session, derived
from journal.sessions.liveness import live_runs
from journal.sessions.origin import Origin, origin
from journal.sessions.over import LAST_EVENT, is_gone, last_sign

_LEFT = ("abandoned", "exited")
"""Outcomes of sessions whose process ended without recording the training's end."""
LAST = f"""
    SELECT s.*, {LAST_EVENT} AS last_event_at FROM sessions s
    WHERE s.purpose IS NULL AND (s.ended_at IS NULL OR s.outcome IN ({listed(_LEFT)}))
      AND s.id = (SELECT n.id FROM sessions n WHERE n.run_id = s.run_id AND n.purpose IS NULL
                  ORDER BY n.generation DESC, n.id DESC LIMIT 1)
      AND NOT EXISTS (SELECT 1 FROM sessions i WHERE i.run_id = s.run_id AND i.parent = s.uuid
                      AND i.purpose = '{INTERRUPTED}')
    """  # noqa: S608 - names of this package
"""The last training session of each run, unless its interruption was recorded already."""
_LAST = text(LAST)
# The last milestone of a run, in the order of the run.
_LAST_WORD = text(
    f"""
    SELECT e.kind FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.run_id = :run_id AND e.kind IN ({listed(MILESTONES)})
    ORDER BY {RANK} DESC LIMIT 1
    """  # noqa: S608 - names of this package
)


def note(connection: Connection, now: datetime) -> int:
    """Record each such training as interrupted, once; return how many there are.

    Two copies of a journal record the same event.

    Args:
        connection: In a write transaction.
        now: The current time.
    """
    ended = list(_ended(connection, now))
    for row in ended:
        _write(connection, row, now)
    return len(ended)


def is_any(connection: Connection, now: datetime) -> bool:
    """Return whether there is something to record, without a lock."""
    return any(True for _ in _ended(connection, now))


def is_untold(connection: Connection, now: datetime, run_id: str) -> bool:
    """Return whether there is something to record of one run."""
    return any(row.run_id == run_id for row in _ended(connection, now))


def _ended(connection: Connection, now: datetime) -> Iterator[Row[Any]]:
    """Yield the sessions of such trainings."""
    live = live_runs(connection, now)
    found = [row for row in connection.execute(_LAST).all() if row.run_id not in live]
    where = origin(connection) if any(row.ended_at is None for row in found) else Origin(None)  # else it tells nothing
    for row in found:
        if _is_over(row, now, where):  # few are: all their events are read
            last = connection.execute(_LAST_WORD, {"run_id": row.run_id}).scalar()
            if last is not None and of(last).tells_state == "running":
                yield row


def _is_over(session: Row[Any], now: datetime, where: Origin) -> bool:
    """Return whether a session is over, and did not end by itself."""
    if session.ended_at is not None:
        return session.outcome in _LEFT
    return is_gone(session, now, where)


def _write(connection: Connection, dead: Row[Any], now: datetime) -> None:
    name = derived(INTERRUPTED, dead.uuid)
    session = Session(dead.run_id, name, dead.generation, dead.uuid, INTERRUPTED, is_stored=True)
    if connection.execute(select(tables.sessions.c.id).where(tables.sessions.c.uuid == name)).first():
        return
    row = session_rows.begin(connection, session, ended_at=now_text(), outcome=INTERRUPTED)
    payload = {"error": "the training was interrupted: its process ended without a word", "code": "Interrupted"}
    values = {"run_id": dead.run_id, "session_id": row, "kind": INTERRUPTED, "key": "", "seq": 1}
    connection.execute(insert(tables.events).values(**values, payload=encode(payload), created_at=last_sign(dead, now)))
