"""A journal as text that names nothing local: two journals that hold the same are the same text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.journals import rows

_QUERIES = {
    "runs": "SELECT id, project, name, created_at FROM runs",
    "sessions": "SELECT run_id, uuid, generation, parent, purpose, started_at, ended_at, outcome FROM sessions",
    "events": "SELECT s.uuid, e.seq, e.kind, e.key, e.payload, e.created_at FROM events e JOIN sessions s "
    "ON s.id = e.session_id",
    "targets": "SELECT t.run_id, d.platform, d.base_url, t.state, t.reason, t.ids, t.dropped_at FROM targets t "
    "JOIN destinations d ON d.id = t.destination_id",
    "deliveries": "SELECT d.chunk_id, d.state, d.span, d.body, d.receipt FROM deliveries d",
    "blobs": "SELECT sha256, size FROM blobs WHERE state = 'present'",
}


def export(folder: Path, *, without: tuple[str, ...] = ()) -> str:
    """Return what a journal holds, in the order of its identities."""
    held: dict[str, list[Any]] = {
        name: sorted(rows(folder, query), key=str) for name, query in _QUERIES.items() if name not in without
    }
    return json.dumps(held, indent=1)


def delivered(folder: Path) -> list[str]:
    """Return the chunk ids of what has arrived."""
    found = rows(folder, "SELECT chunk_id FROM deliveries WHERE state = 'delivered' ORDER BY chunk_id")
    return [chunk_id for (chunk_id,) in found]
