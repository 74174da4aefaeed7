"""What tests call of a `Writer`, for a shared journal, which has none: the same rows, by statements of its own.

Nobody trains into a shared journal; `collect` brings the rows in. The tests of what drains do with them are the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

import journal
from journal.checkpoints.blobs import Snapshot
from journal.clock import now_text, to_text, utc_now
from journal.kinds import CHECKPOINT
from journal.outbox import targets
from journal.records import Run
from journal.retention import prunable
from journal.schema import tables
from journal.schema.neutral import upsert
from journal.sessions import session_rows
from journal.sessions.identity import ENTRY_FIELDS, Draft, Session
from journal.sessions.liveness import HEARTBEAT_TIMEOUT, boot_id, host_name, is_dead
from journal.sessions.over import SILENT_FOR_GOOD
from journal.writing.payloads import drafts
from journal.writing.run_copy import RunCopy
from journal.writing.run_questions import RunQuestions

_E = tables.events
_S = tables.sessions


class SharedWriter(RunQuestions):
    """Puts the events of a test into a shared journal."""

    def __init__(self, shared: journal.Journal) -> None:
        self._transaction = shared.begin
        self._read = self._rows
        self._blobs = shared.blobs

    def append(self, run_id: str, session_id: int, kind: str, payload: Mapping[str, Any], key: str = "") -> int:
        with self._transaction() as connection:
            return [self._insert(connection, run_id, session_id, draft) for draft in drafts(kind, payload, key)][-1]

    def start_run(
        self, *, project: str | None, name: str, save_dir: str, run_id: str | None = None, at: str | None = None
    ) -> Run:
        run = Run(run_id or str(uuid.uuid4()), project, name, save_dir, at or now_text())
        with self._transaction() as connection:
            connection.execute(upsert(tables.runs).values(vars(run)).on_conflict_do_nothing())
        return self.find_run(run_id=run.id) or run

    def start_session(self, run_id: str, pid: int | None = None, session: Session | None = None) -> int:
        is_silent = pid is not None and is_dead(host_name(), boot_id(), pid)  # only silence tells that it is dead
        silent = {"heartbeat_at": to_text(utc_now() - SILENT_FOR_GOOD - HEARTBEAT_TIMEOUT)} if is_silent else {}
        with self._transaction() as connection:
            return session_rows.begin(connection, session or Session(run_id), pid, **silent)

    def heartbeat(self, session_id: int) -> None:
        self._update(session_id, heartbeat_at=now_text())

    def end_session(self, session_id: int, outcome: str) -> None:
        self._update(session_id, heartbeat_at=now_text(), ended_at=now_text(), outcome=outcome)

    def route(self, run_id: str, platform: str, base_url: str) -> None:
        with self._transaction() as connection:
            targets.route(connection, run_id, platform, base_url)

    def add_checkpoint(
        self, run_id: str, session_id: int, snapshot: Snapshot, role: str, payload: Mapping[str, Any]
    ) -> int:
        snapshot = self._blobs.prepare(snapshot)
        facts = {"sha256": snapshot.sha256, "size": snapshot.size}
        blob = upsert(tables.blobs).values(**facts, state="present", created_at=now_text())
        [draft] = drafts(CHECKPOINT, {**payload, "role": role, **facts}, role)
        with self._transaction() as connection:
            self._blobs.publish(snapshot)
            connection.execute(blob.on_conflict_do_update(index_elements=["sha256"], set_={"state": "present"}))
            event = self._insert(connection, run_id, session_id, draft)
        self._blobs.discard(snapshot)
        with self._transaction() as connection:
            prunable.evict_superseded(connection, self._blobs, run_id, role)
        return event

    def run_copy(self) -> RunCopy:
        return RunCopy(self._transaction)

    def close(self) -> None:
        pass

    def _insert(self, connection: Connection, run_id: str, session_id: int, draft: Draft) -> int:
        """Write an event with the session's next number; the journal gives it its id."""
        number = session_rows.highest(connection, session_id) + 1
        columns = dict(zip(ENTRY_FIELDS, (*draft, number), strict=True))
        connection.execute(insert(_E).values(run_id=run_id, session_id=session_id, **columns))
        return int(connection.execute(select(func.max(_E.c.id)).where(_E.c.session_id == session_id)).scalar_one())

    def _update(self, session_id: int, **values: str) -> None:
        with self._transaction() as connection:
            connection.execute(update(_S).where(_S.c.id == session_id).values(values))

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._transaction(read_only=True) as connection:
            return list(map(tuple, connection.exec_driver_sql(query.replace("?", "%s"), tuple(values))))
