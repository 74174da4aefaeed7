"""The training's side of a journal: append, and know it is durable when the call returns.

One `Writer` may be used by several threads, and on both sides of a fork.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError

from journal.checkpoints import superseded
from journal.checkpoints.blobs import BlobStore, Snapshot
from journal.checkpoints.salvage import LostSnapshot
from journal.clock import now_text
from journal.encoding import encode
from journal.errors import JournalUnavailable, from_sqlite
from journal.kinds import MILESTONES
from journal.outbox import backlog, targets
from journal.outbox.routing import route
from journal.records import Event, Run, Signal, Target
from journal.retention.limit import Size, Space, measure
from journal.schema import tables
from journal.sessions import session_rows
from journal.sessions.identity import Entry, Newest, Session
from journal.storage.connections import LogRemoved
from journal.storage.database import Durability, committing
from journal.writing import fallback_intake
from journal.writing.fallback import FallbackFile
from journal.writing.payloads import drafts
from journal.writing.writer_connection import Line

_COPIED_AT_ONCE = 1_000
# Making room in the log: the training waits for its beginning, and its heartbeats come in time.
_START_SECONDS = 0.5
_BEAT_SECONDS = 10.0
_EVENT_COLUMNS = ("run_id", "session_id", "kind", "key", "payload", "created_at", "seq")
# Compiled once: the hot path hands the driver finished SQL.
_UPSERT_BLOB = upsert(tables.blobs).on_conflict_do_update(index_elements=["sha256"], set_={"state": "present"})
_INSERT_EVENT = str(insert(tables.events).values(dict.fromkeys(_EVENT_COLUMNS)).compile(dialect=sqlite.dialect()))


class Writer:
    """Appends to one journal. Each method is one transaction, committed when it returns.

    Every method raises a `JournalError`: `JournalUnavailable` when the same call may work later.

    Attributes:
        lock: Held while a method is at work, and while this process forks.
    """

    def __init__(self, engine: Engine, blobs: BlobStore, database: Path) -> None:
        """Open nothing yet; the first call connects."""
        self._blobs = blobs
        self._database = database
        self._sessions: dict[int, Session] = {}
        self._rows: dict[str, int] = {}
        self._line = Line(engine, database, self._rows.clear)
        self._transaction, self._raw = self._line.transaction, self._line.driver
        self.lock = self._line.lock

    @property
    def file(self) -> tuple[int, int] | None:
        """Device and inode of the database that a connection is open to; None while none is."""
        return self._line.file

    @property
    def is_cut_off(self) -> bool:
        """Whether the log was removed under the connection, and what it held is in it alone."""
        return self._line.is_cut_off

    def append(
        self,
        run_id: str,
        session_id: int,
        kind: str,
        payload: Mapping[str, Any],
        key: str = "",
        *,
        durability: Durability | None = None,
    ) -> int:
        """Write one event and return its id.

        Args:
            run_id: Uuid of the run.
            session_id: From `start_session`.
            kind: What happened.
            payload: Anything; see `journal.encoding.encode`. One that is too large is cut, and that is recorded.
            key: The natural key within the kind.
            durability: What this event is to survive; None for what the journal was opened with.
        """
        event = drafts(kind, payload, key)  # not under the lock: a large one takes long
        with self.lock:
            session = self._session(run_id, session_id)
            return self.write(session, session.entries(event), durability=durability)

    def write(self, session: Session, entries: Sequence[Entry], *, durability: Durability | None = None) -> int:
        """Write a session's numbered events, each in a transaction of its own; return the id of the last.

        Who numbers them holds the lock, so that they come in the order of their numbers.

        Args:
            session: The session; it is begun in this journal if it is new.
            entries: From `Session.entries`.
            durability: What they are to survive; None for what the journal was opened with.
        """
        with self.lock:
            row = self._row(session)
            try:
                for entry in entries:
                    self._line.newest = self._insert(session, row, entry, durability)
            except (DBAPIError, sqlite3.Error, MemoryError) as error:
                raise from_sqlite(error, self._database) from error
            return self._line.newest

    def start_run(self, *, project: str | None, name: str, save_dir: str, run_id: str | None = None) -> Run:
        """Write a new run and return it; a run with this id is returned as it is."""
        run = Run(run_id or str(uuid.uuid4()), project, name, save_dir, now_text())
        with self._transaction() as connection:
            connection.execute(upsert(tables.runs).values(vars(run)).on_conflict_do_nothing())
        return self.find_run(run_id=run.id) or run

    def find_run(self, *, run_id: str | None = None, save_dir: str | None = None) -> Run | None:
        """Return the run with this id, else the newest that wrote to this folder, else None."""
        query = select(tables.runs).order_by(tables.runs.c.created_at.desc()).limit(1)
        column, value = (tables.runs.c.id, run_id) if run_id else (tables.runs.c.save_dir, save_dir)
        with self._transaction(read_only=True) as connection:
            row = connection.execute(query.where(column == value)).first()
        return None if row is None else Run(**row._asdict())

    def start_session(self, run_id: str, pid: int | None = None, session: Session | None = None) -> int:
        """Write that a process (this one) begins to write to the run, and return the session's id.

        Args:
            run_id: Uuid of the run.
            pid: The process.
            session: Numbers the events, here and elsewhere; by default a new one.
        """
        self._line.make_room(_START_SECONDS)
        return self._begin(session or Session(run_id), pid)

    def newest_session(self, run_id: str) -> Newest:
        """Return the run's newest session of training."""
        with self._transaction(read_only=True) as connection:
            return session_rows.newest(connection, run_id)

    def session_count(self, run_id: str) -> int:
        """Return how many sessions of training the run has had."""
        table = tables.sessions
        query = select(table.c.id).where(table.c.run_id == run_id, table.c.purpose.is_(None))
        with self._transaction(read_only=True) as connection:
            return len(connection.execute(query).all())

    def milestone(self, run_id: str) -> str | None:
        """Return the kind of the run's last start or end, or None where it has none."""
        events, own = tables.events, tables.sessions
        query = select(events.c.kind).join(own, own.c.id == events.c.session_id)
        query = query.where(events.c.run_id == run_id, events.c.kind.in_(MILESTONES))
        with self._transaction(read_only=True) as connection:
            return connection.execute(query.order_by(tables.place(events, own).desc()).limit(1)).scalar()

    def last_chunk(self, run_id: str) -> int:
        """Return the highest id of the run's console chunks, 0 when it has none."""
        with self._transaction(read_only=True) as connection:
            return session_rows.last_chunk(connection, run_id)

    def heartbeat(self, session_id: int) -> None:
        """Write that the session is alive, and make room in the log for its next events."""
        self._line.make_room(_BEAT_SECONDS)
        self._update_session(session_id, heartbeat_at=now_text())

    def end_session(self, session_id: int, outcome: str) -> None:
        """Write that the session has ended, and how."""
        self._update_session(session_id, heartbeat_at=now_text(), ended_at=now_text(), outcome=outcome)

    def route(self, run_id: str, platform: str, base_url: str) -> None:
        """Choose a destination for the run; choosing it again changes nothing."""
        with self._transaction() as connection:
            route(connection, run_id, platform, base_url)

    def add_checkpoint(
        self, run_id: str, session_id: int, snapshot: Snapshot, role: str, payload: Mapping[str, Any]
    ) -> int:
        """Make a snapshot part of the journal and write the event that refers to it; return the event's id.

        Older checkpoints of the same role that nothing needs any more are given up afterwards. That must not outlive
        the event, so the event survives a power cut whatever the journal's durability.

        Args:
            run_id: Uuid of the run.
            session_id: From `start_session`.
            snapshot: From `BlobStore.snapshot`; it is used up.
            role: `last`, `best` or `final`.
            payload: Further facts; `role`, `sha256` and `size` are added.
        """
        with self.lock:
            return self._store(self._session(run_id, session_id), snapshot, role, payload)

    def add_salvaged(self, lost: LostSnapshot, snapshot: Snapshot) -> None:
        """Make what a dead session saved part of the journal, as `add_checkpoint` does.

        In a session of its own, whose name and number follow from what is taken in: two copies that salvage the same
        file write the same event.
        """
        with self.lock:
            session = lost.salvaging(snapshot.sha256)
            row = self._begin(session, ended_at=now_text(), outcome=session.purpose)
            with self._transaction(read_only=True) as connection:
                is_there = session_rows.highest(connection, row) == lost.seq
            if not is_there:
                self._store(session, snapshot, lost.role, lost.payload)

    def _store(self, session: Session, snapshot: Snapshot, role: str, payload: Mapping[str, Any]) -> int:
        facts = {**payload, "role": role, "sha256": snapshot.sha256, "size": snapshot.size}
        blob = {
            "sha256": snapshot.sha256,
            "size": snapshot.size,
            "state": "present",
            "created_at": now_text(),
        }
        [entry] = session.entries([("checkpoint", role, encode(facts), now_text())])
        row = self._row(session)
        with self._transaction(durable=True) as connection:
            self._blobs.publish(snapshot)  # inside, so that nobody removes the same bytes at this moment
            connection.execute(_UPSERT_BLOB, blob)
            event_id = self._insert(session, row, entry, None)
        # What cannot be given up now goes with the next checkpoint.
        with suppress(JournalUnavailable, OSError), self._transaction() as connection:
            superseded.give_up(connection, self._blobs, session.run_id, role)
        self._blobs.discard(snapshot)
        self._blobs.clear()
        return event_id

    def backlog(self, run_id: str, after: int) -> Sequence[Event]:
        """Return the run's next events with ids above `after`, in order; none when there are no more."""
        with self._transaction(read_only=True) as connection:
            return backlog.read(connection, run_id, after, _COPIED_AT_ONCE, None).events

    def targets(self, run_id: str) -> list[Target]:
        """Return where the run goes or went until it was given up, and what it is called there."""
        with self._transaction(read_only=True) as connection:
            return targets.targets(connection, None, [run_id], dropped=True)

    def copy_target(self, known: Target) -> None:
        """Choose a destination as in another journal, or give it up: the run is known there by the ids that it has."""
        table = tables.targets
        state = "registered" if known.ids else "new"
        values = {"ids": encode(known.ids), "state": state, "dropped_at": known.dropped_at}
        with self._transaction() as connection:
            place = route(connection, known.run.id, known.destination.platform, known.destination.base_url)
            here = (table.c.run_id == known.run.id, table.c.destination_id == place.id, table.c.ids == "{}")
            connection.execute(update(table).where(*here).values(values))

    def sessions(self, run_id: str) -> Sequence[Row[Any]]:
        """Return the rows of the run's sessions, oldest first."""
        table = tables.sessions
        with self._transaction(read_only=True) as connection:
            return connection.execute(select(table).where(table.c.run_id == run_id).order_by(table.c.id)).all()

    def copy_sessions(self, rows: Sequence[Row[Any]]) -> dict[int, int]:
        """Write sessions of another journal as they are; return their ids here, by those that they have there."""
        with self._transaction() as connection:
            return {row.id: session_rows.copy(connection, row) for row in rows}

    def copy(self, session_ids: Mapping[int, int], events: Sequence[Event]) -> None:
        """Write events of another journal as they are, but those that are here already.

        Args:
            session_ids: From `copy_sessions`.
            events: Of these sessions.
        """
        here = [(e.run_id, session_ids[e.session_id], e.kind, e.key, e.payload, e.created_at, e.seq) for e in events]
        rows = [dict(zip(_EVENT_COLUMNS, row, strict=True)) for row in here]
        with self._transaction() as connection:
            if rows:
                connection.execute(upsert(tables.events).on_conflict_do_nothing(), rows)

    def ingest(self, file: FallbackFile, session_id: int) -> None:
        """Take in what a fallback file holds, into a session of this journal.

        Raises:
            OSError: It could not be read to its end.
        """
        header = replace(file.header, session_id=session_id)
        for path in file.paths:
            for _ in fallback_intake.take_in(self._transaction, path, header):
                pass

    def signals(self, run_id: str) -> list[Signal]:
        """Return what platforms told this run, oldest first."""
        columns = [tables.signals.c[name] for name in ("id", "run_id", "session_id", "kind", "detail", "created_at")]
        query = select(*columns).where(tables.signals.c.run_id == run_id).order_by(tables.signals.c.id)
        with self._transaction(read_only=True) as connection:
            return [Signal(**row._asdict()) for row in connection.execute(query)]

    def size(self) -> Size:
        """Return how much the journal holds."""
        with self._transaction(read_only=True) as connection:
            return measure(connection)

    def space(self, limit: int) -> Space:
        """Return the journal's space within a limit, in bytes.

        Events wait for a writer that is at work, so this is for one that writes none.
        """
        return Space(self._transaction, self._blobs, limit)

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        return self._line.fold_wal()

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        self._line.close()

    def _session(self, run_id: str, session_id: int) -> Session:
        """Return who numbers a session's events, also of one that another writer began."""
        if (known := self._sessions.get(session_id)) is not None:
            return known
        with self._transaction(read_only=True) as connection:
            found = session_rows.load(connection, session_id)
        session = found or Session(run_id)  # of one that is not there, the INSERT tells
        self._rows[session.uuid] = session_id
        return self._sessions.setdefault(session_id, session) if found else session

    def _row(self, session: Session) -> int:
        """Return the session's id here; a session that is new to this journal, as a forked child's is, is begun."""
        return self._rows.get(session.uuid) or self._begin(session)

    def _begin(self, session: Session, pid: int | None = None, **columns: str | None) -> int:
        with self._transaction() as connection:
            row = session_rows.begin(connection, session, pid, **columns)
        self._rows[session.uuid] = row
        self._sessions[row] = session
        return row

    def _insert(self, session: Session, row: int, entry: Entry, durability: Durability | None) -> int:
        """Write an event; under the next free number when somebody else has given its number out."""
        driver = self._raw()
        try:
            with committing(driver, durability) if durability else nullcontext():
                return driver.write(_INSERT_EVENT, (session.run_id, row, *entry))
        except LogRemoved as error:
            self._line.reopen(error)
            return self._insert(session, self._row(session), entry, durability)
        except sqlite3.IntegrityError as error:
            if "events.seq" not in str(error):
                raise
        (session.last,) = driver.execute("SELECT max(seq) FROM events WHERE session_id = ?", (row,)).fetchone()
        return self._insert(session, row, (*entry[:4], session.next()), durability)

    def _update_session(self, session_id: int, **values: str) -> None:
        with self._transaction() as connection:
            connection.execute(update(tables.sessions).where(tables.sessions.c.id == session_id).values(values))
