"""What is asked about the runs of a journal while one of them is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import sqlite

from journal.kinds import MILESTONES
from journal.records import Run, Signal
from journal.schema import tables
from journal.sessions import session_rows
from journal.sessions.identity import Newest
from journal.storage.backend import Begin
from journal.writing import continuation, epoch_salvage, past_runs
from journal.writing.continuation import Continuation
from journal.writing.past_runs import PastRun

Read = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Returns the rows of one statement, given its values."""
_SIGNAL_COLUMNS = [tables.signals.c[name] for name in ("id", "run_id", "session_id", "kind", "detail", "created_at")]
# Compiled once: a training asks several times in each epoch.
_SIGNALS = str(
    select(*_SIGNAL_COLUMNS)
    .where(tables.signals.c.run_id == bindparam("run"))
    .order_by(tables.signals.c.id)
    .compile(dialect=sqlite.dialect())
)


class RunQuestions:
    """A writer's questions about runs; each is a transaction of its own, which writes nothing."""

    _transaction: Begin
    _read: Read

    def find_run(self, *, run_id: str | None = None, save_dir: str | None = None) -> Run | None:
        """Return the run with this id, or the newest run of this folder; None when there is none."""
        query = select(tables.runs).order_by(tables.runs.c.created_at.desc()).limit(1)
        column, value = (tables.runs.c.id, run_id) if run_id else (tables.runs.c.save_dir, save_dir)
        with self._transaction(read_only=True) as connection:
            row = connection.execute(query.where(column == value)).first()
        return None if row is None else Run(**row._asdict())

    def newest_session(self, run_id: str) -> Newest:
        """Return the run's newest session of training."""
        with self._transaction(read_only=True) as connection:
            return session_rows.newest(connection, run_id)

    def session_count(self, run_id: str) -> int:
        """Return the number of the run's training sessions."""
        table = tables.sessions
        query = select(table.c.id).where(table.c.run_id == run_id, table.c.purpose.is_(None))
        with self._transaction(read_only=True) as connection:
            return len(connection.execute(query).all())

    def milestone(self, run_id: str) -> str | None:
        """Return the kind of the run's newest start or end event; None when it has none."""
        events, own = tables.events, tables.sessions
        query = select(events.c.kind).join(own, own.c.id == events.c.session_id)
        query = query.where(events.c.run_id == run_id, events.c.kind.in_(MILESTONES))
        with self._transaction(read_only=True) as connection:
            return connection.execute(query.order_by(tables.run_order(events, own).desc()).limit(1)).scalar()

    def last_chunk(self, run_id: str) -> int:
        """Return the highest id of the run's console chunks; 0 when it has none."""
        with self._transaction(read_only=True) as connection:
            return session_rows.last_chunk(connection, run_id)

    def count_epochs(self, run_id: str, before: int) -> int:
        """Return how many epochs of a run with lower numbers than one are here."""
        with self._transaction(read_only=True) as connection:
            return epoch_salvage.count(connection, run_id, before)

    def continuation(self, run_id: str) -> Continuation:
        """Return what a loop has to know of a run that goes on."""
        with self._transaction(read_only=True) as connection:
            return continuation.read(connection, run_id)

    def step(self, run_id: str, number: int) -> Mapping[str, Any] | None:
        """Return what was logged last of a step of a run; None where nothing was."""
        with self._transaction(read_only=True) as connection:
            return continuation.step(connection, run_id, number)

    def past_run(self, run_id: str) -> PastRun:
        """Return what is known of a run of which somebody brings in the past."""
        with self._transaction(read_only=True) as connection:
            return past_runs.read(connection, run_id)

    def signals(self, run_id: str) -> list[Signal]:
        """Return what platforms told this run, oldest first."""
        return [Signal(*row) for row in self._read(_SIGNALS, (run_id,))]
