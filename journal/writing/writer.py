"""The training's side of a journal: an event is durable when `append` returns, and committed when `write` does.

A `Writer` may be used by several threads, and on both sides of a fork.
"""

from __future__ import annotations

import math
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from journal.checkpoints.blobs import BlobStore, Snapshot
from journal.checkpoints.salvage import LostSnapshot
from journal.clock import now_text
from journal.encoding import encode
from journal.errors import JournalUnavailable, from_sqlite
from journal.kinds import CHECKPOINT
from journal.outbox.targets import route
from journal.records import Run
from journal.retention import prunable
from journal.retention.limit import Size, Space, measure
from journal.schema import tables
from journal.schema.neutral import upsert
from journal.sessions import session_rows
from journal.sessions.identity import Entry, Session
from journal.sessions.lost_epochs import TrainerRecord
from journal.storage.connections import LogRemoved
from journal.storage.database import Durability, committing
from journal.storage.flusher import Written
from journal.writing import epoch_salvage, fallback_intake
from journal.writing.fallback import FallbackFile
from journal.writing.payloads import drafts
from journal.writing.run_copy import RunCopy
from journal.writing.run_questions import RunQuestions
from journal.writing.writer_connection import WriterConnection

# How long extending the log may take: the training waits for the first one, and heartbeats must not be late.
_START_SECONDS, _BEAT_SECONDS = 0.5, 10.0
_EVENT_COLUMNS = ("run_id", "session_id", "kind", "key", "payload", "created_at", "seq")
# Compiled once: the hot path hands the driver finished SQL.
_UPSERT_BLOB = upsert(tables.blobs).on_conflict_do_update(index_elements=["sha256"], set_={"state": "present"})
_INSERT_EVENT = str(insert(tables.events).values(dict.fromkeys(_EVENT_COLUMNS)).compile(dialect=sqlite.dialect()))


class Writer(RunQuestions):
    """Appends to one journal. Each method is one transaction, committed when it returns.

    A method that fails raises a `JournalError`: `JournalUnavailable` when the same call may work later.

    With durability `full`, nothing waits for the disk while it holds the lock: many commits share a flush.

    Attributes:
        lock: Held while a method runs, except while it waits for the disk, and while this process forks.
    """

    def __init__(self, engine: Engine, blobs: BlobStore, database: Path) -> None:
        """Connect on first use."""
        self._blobs = blobs
        self._database = database
        self._sessions: dict[int, Session] = {}
        self._rows: dict[str, int] = {}
        self._connection = opened = WriterConnection(engine, database, self._rows.clear)
        self._transaction, self._read, self._raw = opened.transaction, opened.read, opened.driver
        self.lock = opened.lock

    @property
    def file(self) -> tuple[int, int] | None:
        """Device and inode of the database file that is open; None while there is no connection."""
        return self._connection.file

    @property
    def has_lost_its_file(self) -> bool:
        """Whether the log was removed under the connection, so that only this connection can still read it."""
        return self._connection.has_lost_its_file

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
            payload: Anything; see `journal.encoding.encode`. A payload that is too large is reduced, which is recorded.
            key: The natural key within the kind.
            durability: None for that of the journal.

        Raises:
            JournalUnavailable: It was not written, or could not be flushed.
        """
        event = drafts(kind, payload, key)  # outside the lock: encoding a large one takes long
        with self.lock:
            session = self._session(run_id, session_id)
            event_id = self.write(session, session.entries(event), durability=durability)
            written = self.written()
        if durability != "process":
            self._connection.wait(written)
        return event_id

    def written(self) -> Written | None:
        """Return what waits for the flush of all that was written until now; None where SQLite flushes each commit."""
        return self._connection.note()

    @property
    def flushes(self) -> bool:
        """Whether `written` returns something to wait for."""
        return self._connection.flushes

    def distrust_log(self) -> None:
        """Write nothing more behind what could not be flushed, before all of the log is in the database."""
        self._connection.distrust()

    def write(self, session: Session, entries: Sequence[Entry], *, durability: Durability | None = None) -> int:
        """Write numbered events of a session, each in a transaction of its own; return the id of the last.

        The caller numbers them while it holds `lock`, so that they are written in the order of their numbers. It waits
        for their flush afterwards; see `written`.

        Args:
            session: The session; it is begun in this journal if it is new here.
            entries: From `Session.entries`.
            durability: None for that of the journal.
        """
        with self.lock:
            row = self._rows.get(session.uuid) or self._begin(session)
            try:
                for entry in entries:
                    self._connection.newest = self._insert(session, row, entry, durability)
            except (DBAPIError, sqlite3.Error, MemoryError) as error:
                raise from_sqlite(error, self._database) from error
            return self._connection.newest

    def start_run(
        self, *, project: str | None, name: str, save_dir: str, run_id: str | None = None, at: str | None = None
    ) -> Run:
        """Write a new run and return it; return an existing run with this id unchanged. `at` is now if it is None."""
        run = Run(run_id or str(uuid.uuid4()), project, name, save_dir, at or now_text())
        with self._transaction() as connection:
            connection.execute(upsert(tables.runs).values(vars(run)).on_conflict_do_nothing())
        return self.find_run(run_id=run.id) or run

    def start_session(self, run_id: str, pid: int | None = None, session: Session | None = None) -> int:
        """Begin a session of the run and return the id of its row.

        Args:
            run_id: Uuid of the run.
            pid: The process that writes; by default this one.
            session: Numbers the events, here and elsewhere; by default a new session.
        """
        self._connection.make_room(_START_SECONDS)
        return self._begin(session or Session(run_id), pid)

    def heartbeat(self, session_id: int, flushed: int | None = None) -> None:
        """Record that the session is alive, and extend the log ahead of its next events.

        Args:
            session_id: From `start_session`.
            flushed: Number of the session's last event up to which all are on the disk; None where that is not known.
        """
        self._connection.make_room(_BEAT_SECONDS)
        self._update_session(session_id, heartbeat_at=now_text(), flushed_seq=flushed)

    def end_session(self, session_id: int, outcome: str, flushed: int | None = None) -> None:
        """Record that the session has ended, and how; durably, as far as the journal's durability goes.

        Args:
            session_id: From `start_session`.
            outcome: How.
            flushed: See `heartbeat`.
        """
        now = now_text()
        self._update_session(session_id, heartbeat_at=now, ended_at=now, outcome=outcome, flushed_seq=flushed)

    def route(self, run_id: str, platform: str, base_url: str) -> None:
        """Add a destination to the run; adding it again changes nothing."""
        with self._transaction() as connection:
            route(connection, run_id, platform, base_url)

    def add_checkpoint(
        self,
        run_id: str,
        session_id: int,
        snapshot: Snapshot,
        role: str,
        payload: Mapping[str, Any],
        *,
        at: str | None = None,
    ) -> int:
        """Make a snapshot part of the journal and write the event that refers to it; return the event's id.

        Older checkpoints of the same role that are no longer needed are removed afterwards. Their removal must not
        outlive the event, so the event survives a power cut whatever the journal's durability.

        Args:
            run_id: Uuid of the run.
            session_id: From `start_session`.
            snapshot: From `BlobStore.snapshot`; it is consumed.
            role: `last`, `best` or `final`.
            payload: Further facts; `role`, `sha256` and `size` are added.
            at: When it was saved; None for now.
        """
        snapshot = self._blobs.prepare(snapshot)
        with self.lock:
            event_id, written = self._store(self._session(run_id, session_id), snapshot, role, payload, at)
        self._connection.wait(written)
        self._evict_superseded(run_id, role)
        return event_id

    def add_salvaged(self, lost: LostSnapshot, snapshot: Snapshot) -> None:
        """Add the checkpoint of a session that died before its snapshot, as `add_checkpoint` does.

        The event gets a session of its own, whose uuid and sequence number are derived from the file: two copies of a
        journal that salvage the same file write the same event.
        """
        written = None
        with self.lock:
            session = lost.salvaging(snapshot.sha256)
            row = self._begin(session, ended_at=now_text(), outcome=session.purpose)
            with self._transaction(read_only=True) as connection:
                is_there = session_rows.highest(connection, row) == lost.seq
            if not is_there:
                _, written = self._store(session, snapshot, lost.role, lost.payload)
        self._connection.wait(written)
        self._evict_superseded(session.run_id, lost.role)

    def _store(
        self, session: Session, snapshot: Snapshot, role: str, payload: Mapping[str, Any], at: str | None = None
    ) -> tuple[int, Written | None]:
        """Write the event that refers to a snapshot; return its id, and what to wait for before bytes are removed."""
        facts = {**payload, "role": role, "sha256": snapshot.sha256, "size": snapshot.size}
        blob = {
            "sha256": snapshot.sha256,
            "size": snapshot.size,
            "state": "present",
            "created_at": now_text(),
        }
        [entry] = session.entries([(CHECKPOINT, role, encode(facts), at or now_text())])
        row = self._row(session)
        with self._transaction(durable=not self._connection.flushes) as connection:
            self._blobs.publish(snapshot)
            connection.execute(_UPSERT_BLOB, blob)
            event_id = self._insert(session, row, entry, None)
        self._blobs.discard(snapshot)
        return event_id, self.written()

    def _evict_superseded(self, run_id: str, role: str) -> None:
        """Remove checkpoints that a newer one replaces; what cannot be removed now is removed with the next one."""
        with suppress(JournalUnavailable, OSError), self._transaction() as connection:
            prunable.evict_superseded(connection, self._blobs, run_id, role)
        self._blobs.clear()

    def salvage_epochs(self, run_id: str, trained: TrainerRecord, newest: int) -> list[int]:
        """Record the epochs of a trainer's own record that the journal lacks; return their numbers.

        Args:
            run_id: Uuid of the run.
            trained: That record.
            newest: Generation of the session that wrote the end of that record.
        """
        with self._transaction(read_only=True) as connection:
            is_doubtful = trained.is_doubtful or run_id in prunable.pruned(connection)
        record = TrainerRecord(trained.epochs, is_doubtful)
        return epoch_salvage.take_in(self._transaction, run_id, record, newest)

    def run_copy(self) -> RunCopy:
        """Return what copies runs out of this journal, or into it."""
        return RunCopy(partial(self._transaction, durable=True))

    def ingest(self, file: FallbackFile, session_id: int, max_wait: float = math.inf) -> bool:
        """Ingest a fallback file into a session of this journal.

        Args:
            file: The file.
            session_id: From `start_session`.
            max_wait: Seconds to wait for the flush.

        Returns:
            Whether what it held is durable in the journal, so that the file can be removed.

        Raises:
            OSError: The file could not be read to its end.
        """
        header = replace(file.header, session_id=session_id)
        for path in file.paths:
            for _ in fallback_intake.ingest_file(self._transaction, path, header):
                pass
        return self._connection.wait(self.written(), max_wait)

    def size(self) -> Size:
        """Return how much the journal holds."""
        with self._transaction(read_only=True) as connection:
            return measure(connection)

    def space(self, limit: int) -> Space:
        """Return the journal's space within a limit, in bytes.

        Work on it holds this writer's lock for long, so use a writer that writes no events.
        """
        return Space(self._transaction, self._blobs, limit)

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        return self._connection.fold_wal()

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        self._connection.close()

    def _session(self, run_id: str, session_id: int) -> Session:
        """Return the session with this row id, which another writer may have begun."""
        if (known := self._sessions.get(session_id)) is not None:
            return known
        with self._transaction(read_only=True) as connection:
            found = session_rows.load(connection, session_id)
        session = found or Session(run_id)  # if there is no such row, the INSERT fails and says so
        self._rows[session.uuid] = session_id
        return self._sessions.setdefault(session_id, session) if found else session

    def _row(self, session: Session) -> int:
        """Return the session's row id, beginning a session that is new to this journal, such as a forked child's."""
        return self._rows.get(session.uuid) or self._begin(session)

    def _begin(self, session: Session, pid: int | None = None, **columns: str | None) -> int:
        with self._transaction() as connection:
            row = session_rows.begin(connection, session, pid, **columns)
        self._rows[session.uuid] = row
        self._sessions[row] = session
        return row

    def _insert(self, session: Session, row: int, entry: Entry, durability: Durability | None) -> int:
        """Write an event, under the next free sequence number if its own is taken."""
        driver = self._connection.current or self._raw()
        how = self._connection.durability(durability) if durability else None
        try:
            if how is None:
                return driver.write(_INSERT_EVENT, (session.run_id, row, *entry))
            with committing(driver, how):
                return driver.write(_INSERT_EVENT, (session.run_id, row, *entry))
        except LogRemoved as error:
            self._connection.reopen(error)
            return self._insert(session, self._row(session), entry, durability)
        except sqlite3.IntegrityError as error:
            if "events.seq" not in str(error):
                raise
        (session.last,) = driver.execute("SELECT max(seq) FROM events WHERE session_id = ?", (row,)).fetchone()
        return self._insert(session, row, (*entry[:4], session.next()), durability)

    def _update_session(self, session_id: int, **values: str | int | None) -> None:
        with self._transaction() as connection:
            connection.execute(update(tables.sessions).where(tables.sessions.c.id == session_id).values(values))
