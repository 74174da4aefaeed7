"""What mirrors are compared by: an export of a journal, which has nothing of its own in it; and mirrors in pieces."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from journal.mirror.layout import RUNS, SegmentName
from journal.mirror.segment_reading import read_segment
from journal.mirror.segments import columns, make
from journal.mirror.stores import FolderStore

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


def divide(store: FolderStore) -> list[SegmentName]:
    """Have each event of a mirror in a segment of its own; return these in the order of their numbers."""
    made = []
    for name in [name for found in store.list(RUNS) if (name := SegmentName.parse(found.name))]:
        part = read_segment(store, name)
        store.delete(str(name))
        for event in map(columns, part.lines):
            assert event
            entry = (event["kind"], event["key"], event["payload"], event["created_at"], event["seq"])
            one = make(part.header, [entry], None)
            store.put(str(one.name), one.content())
            made.append(one.name)
    return sorted(made, key=lambda name: name.first)
