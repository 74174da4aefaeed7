"""Checkpoints that a session saved but did not live to snapshot.

The training thread journals each save before the snapshot is taken. When the process dies in between, the trainer's
file is usually still there: it is taken in later, under the epoch that the event names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.liveness import live_runs

# The newest save of each run's newest session, where no checkpoint of that session followed.
_LAST_SAVES = text(
    """
    SELECT e.run_id, e.session_id, e.id, e.payload, s.ended_at
    FROM events e JOIN sessions s ON s.id = e.session_id
    WHERE e.kind = 'model_saved'
      AND e.session_id = (SELECT max(id) FROM sessions WHERE run_id = e.run_id)
      AND e.id = (SELECT max(id) FROM events WHERE session_id = e.session_id AND run_id = e.run_id
                  AND kind = 'model_saved')
    """
)
_LATER_CHECKPOINT = text(
    "SELECT 1 FROM events WHERE run_id = :run_id AND kind = 'checkpoint' AND key = :role AND id > :id"
)


@dataclass(frozen=True)
class LostSnapshot:
    """A file that was saved and never snapshotted.

    Attributes:
        run_id: Uuid of the run.
        session_id: The session that saved it.
        path: The trainer's file; it exists.
        role: `last`, `best` or `final`.
        payload: The facts for the checkpoint event.
    """

    run_id: str
    session_id: int
    path: Path
    role: str
    payload: dict[str, Any]


def lost_snapshots(connection: Connection, now: datetime) -> list[LostSnapshot]:
    """Return what dead sessions saved, did not snapshot, and left on the disk."""
    live = live_runs(connection, now)
    saves = [row for row in connection.execute(_LAST_SAVES) if row.run_id not in live]
    return [lost for save in saves for lost in _of_save(connection, save)]


def _of_save(connection: Connection, save: Row[Any]) -> list[LostSnapshot]:
    event, found = json.loads(save.payload), []
    for file in event.get("files", []):
        path, role = Path(file["path"]), file["role"]
        known = {"run_id": save.run_id, "role": role, "id": save.id}
        if not path.is_file() or connection.execute(_LATER_CHECKPOINT, known).first():
            continue
        facts = {
            "epoch": event.get("epoch"),
            "filename": path.name,
            "publish": file.get("publish", False),
            "isBest": file.get("isBest", False),
            "salvaged": True,
        }
        found.append(LostSnapshot(save.run_id, save.session_id, path, role, facts))
    return found
