"""Writes what happened elsewhere, with its identities and times: runs of other journals, and sessions that are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, select, update

from journal.encoding import encode
from journal.outbox import backlog, targets
from journal.outbox.targets import route
from journal.records import Event, Target
from journal.schema import tables
from journal.schema.neutral import upsert
from journal.sessions import session_rows
from journal.sessions.identity import ENTRY_FIELDS, Entry, Session
from journal.storage.backend import Begin

_COPIED_AT_ONCE = 1_000


class RunCopy:
    """One journal's side of a copy: reads a run, or writes what the other side has read."""

    def __init__(self, begin: Begin) -> None:
        """Copy by transactions that `begin` begins."""
        self._begin = begin

    def targets(self, run_id: str) -> list[Target]:
        """Return the run's targets, including those that were dropped."""
        with self._begin(read_only=True) as connection:
            return targets.targets(connection, [run_id], dropped=True)

    def sessions(self, run_id: str) -> Sequence[Row[Any]]:
        """Return the rows of the run's sessions, oldest first."""
        table = tables.sessions
        with self._begin(read_only=True) as connection:
            return connection.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.id)).all()

    def backlog(self, run_id: str, after: int) -> Sequence[Event]:
        """Return the run's next events with ids above `after`, in order; an empty sequence after the last one."""
        with self._begin(read_only=True) as connection:
            return backlog.read(connection, run_id, after, _COPIED_AT_ONCE, None).events

    def copy_target(self, known: Target) -> None:
        """Copy a target of another journal, with the platform's ids and whether it was dropped."""
        table = tables.targets
        state = "registered" if known.ids else "new"
        values = {"ids": encode(known.ids), "state": state, "dropped_at": known.dropped_at}
        with self._begin() as connection:
            place = route(connection, known.run.id, known.destination.platform, known.destination.base_url)
            here = (table.c.run_id == known.run.id, table.c.destination_id == place.id, table.c.ids == "{}")
            connection.execute(update(table).where(*here).values(values))

    def copy_sessions(self, rows: Sequence[Row[Any]]) -> dict[int, int]:
        """Copy sessions of another journal unchanged; return their row ids here by their row ids there."""
        with self._begin() as connection:
            return {row.id: session_rows.copy(connection, row) for row in rows}

    def copy_events(self, session_ids: Mapping[int, int], events: Sequence[Event]) -> None:
        """Copy events of another journal unchanged, leaving out those that are here already.

        Args:
            session_ids: From `copy_sessions`.
            events: Events of these sessions.
        """
        rows = [
            {
                "run_id": event.run_id,
                "session_id": session_ids[event.session_id],
                "kind": event.kind,
                "key": event.key,
                "payload": event.payload,
                "created_at": event.created_at,
                "seq": event.seq,
            }
            for event in events
        ]
        with self._begin() as connection:
            if rows:
                connection.execute(upsert(tables.events).on_conflict_do_nothing(), rows)

    def add_past(
        self, session: Session, entries: Sequence[Entry], *, started_at: str, ended_at: str, outcome: str
    ) -> int:
        """Write a session that is over, or what of it is not here yet; return how many events were new.

        Args:
            session: With a uuid that is derived from what it tells of, so that the same is written once.
            entries: From `Session.entries`, of `drafts` with their times; always numbered in the same way.
            started_at: When it began, as `journal.clock` writes times.
            ended_at: When it ended.
            outcome: How.
        """
        moments = {"started_at": started_at, "heartbeat_at": ended_at, "ended_at": ended_at}
        with self._begin() as connection:
            row = session_rows.begin(connection, session, None, outcome=outcome, **moments)
            values = [
                {"run_id": session.run_id, "session_id": row, **dict(zip(ENTRY_FIELDS, entry, strict=True))}
                for entry in entries
            ]
            count = select(func.count()).where(tables.events.c.session_id == row)
            before = connection.execute(count).scalar_one()
            if values:
                connection.execute(upsert(tables.events).on_conflict_do_nothing(), values)
            return int(connection.execute(count).scalar_one() - before)

    def last_number(self, session: Session) -> int:
        """Return the highest number of a session's events here, 0 if there are none."""
        with self._begin(read_only=True) as connection:
            row = session_rows.find(connection, session.uuid)
            newest = select(func.max(tables.events.c.seq)).where(tables.events.c.session_id == row)
            return int(connection.execute(newest).scalar() or 0)
