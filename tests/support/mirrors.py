"""What mirrors are compared by: an export of a journal, which has nothing of its own in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

_RUNS = "SELECT id, project, name, save_dir, created_at FROM runs ORDER BY id"
_SESSIONS = (
    "SELECT uuid, run_id, pid, host, boot_id, started_at, generation, parent, purpose FROM sessions ORDER BY uuid"
)
_EVENTS = """
    SELECT s.uuid, e.seq, e.run_id, e.kind, e.key, e.payload, e.created_at
    FROM events e JOIN sessions s ON s.id = e.session_id ORDER BY s.uuid, e.seq"""


def export(folder: Path) -> dict[str, list[Any]]:
    """Return what a journal holds, by identities and without local ids."""
    with closing(sqlite3.connect(f"{(folder / 'journal.db').as_uri()}?mode=ro", uri=True)) as connection:
        queries = {"runs": _RUNS, "sessions": _SESSIONS, "events": _EVENTS}
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}
