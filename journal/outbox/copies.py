"""Whether this journal may be an older copy of another one, and what it holds of a run, for a platform to be asked.

A journal is copied for a backup, to be drained elsewhere, or along with its machine, while trainings go on writing to
the first one. A copy lies elsewhere, is another file, or is older than what was in its place once (it was put over the
journal): only then is there a reason to doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from journal.kinds import COMPLETE, EPOCH
from journal.records import Known
from journal.retention import prunable
from journal.sessions.identity import place_of
from journal.sessions.origin import PLACE
from journal.storage import newest
from journal.storage.backend import Begin

_FACT = text("SELECT value FROM facts WHERE name = :name")
_STORE = text("INSERT INTO facts VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
_SESSIONS = text("SELECT uuid, generation FROM sessions WHERE run_id = :run_id")
_EPOCHS = text("SELECT max(CAST(round(key) AS BIGINT)) FROM events WHERE run_id = :run_id AND kind = :kind").bindparams(
    kind=EPOCH
)
_ENDED = text("SELECT 1 FROM events WHERE run_id = :run_id AND kind = :kind LIMIT 1").bindparams(kind=COMPLETE)


class Copies:
    """What tells whether a journal is an older copy."""

    def __init__(self, begin: Begin, database: Path | None) -> None:
        """Use the connection on which `begin` begins a transaction, to this file; None where the journal is shared."""
        self._begin = begin
        self._database = database

    def is_elsewhere(self) -> bool:
        """Return whether this is not the file that was made as this journal, or is older than that was.

        What a shared journal holds came from elsewhere, where somebody may send it, too.
        """
        if self._database is None:
            return True
        with self._begin(read_only=True) as connection:
            noted = connection.execute(_FACT, {"name": PLACE}).scalar()
            is_older = _is_older(connection, self._database)
        return is_older or (noted is not None and noted != place_of(self._database))

    def mark_newest(self) -> None:
        """Have what was copied so far be recognised as older, unless this is an older copy itself; see `newest.py`."""
        if self._database is None:  # each machine would note another mark
            return
        with self._begin() as connection:
            if _is_older(connection, self._database):
                return
            marks, mark = newest.next_marks(self._database)
            connection.execute(_STORE, {"name": newest.NEWEST, "value": marks})
        newest.note(self._database, mark)

    def known(self, run_id: str) -> Known:
        """Return what the journal holds of a run, as far as a platform tells the same."""
        with self._begin(read_only=True) as connection:
            sessions: Sequence[Any] = connection.execute(_SESSIONS, {"run_id": run_id}).all()
            is_whole = run_id not in prunable.pruned(connection)
            return Known(
                sessions=frozenset(row.uuid for row in sessions),
                generation=max((row.generation for row in sessions), default=0),
                last_epoch=connection.execute(_EPOCHS, {"run_id": run_id}).scalar() if is_whole else None,
                is_complete=not is_whole or connection.execute(_ENDED, {"run_id": run_id}).first() is not None,
            )


def _is_older(connection: Connection, database: Path) -> bool:
    return newest.is_older(database, connection.execute(_FACT, {"name": newest.NEWEST}).scalar())
