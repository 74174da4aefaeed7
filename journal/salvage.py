"""Checkpoints that a session saved but did not live to snapshot.

The training thread journals each save before the snapshot is taken. When the process dies in between, the trainer's
file is usually still there: it is taken in later, under the epoch that the event names.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.liveness import live_runs

RUN_FILE = "uploader_run.json"
"""Name of the small file in a run's folder that says which run the folder is of, and in which journal."""

# Each run's newest save of each role, where no checkpoint of that role, and no final one, followed. A folder that a
# later run wrote to holds that run's files. A damaged event tells of no file. (Of a group with max(), SQLite gives the
# columns of the row that has it.)
_LOST = text(
    """
    SELECT s.run_id, s.session_id, s.epoch, s.file, r.save_dir
    FROM (SELECT e.run_id, e.session_id, max(e.id) AS id, json_extract(e.payload, '$.epoch') AS epoch,
                 json_extract(f.value, '$.role') AS role, f.value AS file
          FROM events e, json_each(CASE WHEN json_valid(e.payload) THEN e.payload ELSE '{}' END, '$.files') f
          WHERE e.kind = 'model_saved'
            AND CASE f.type WHEN 'object' THEN json_type(f.value, '$.path') = 'text'
                                           AND json_type(f.value, '$.role') = 'text' END
          GROUP BY e.run_id, role) s
    JOIN runs r ON r.id = s.run_id
    WHERE NOT EXISTS (SELECT 1 FROM events c WHERE c.run_id = s.run_id AND c.kind = 'checkpoint'
                        AND c.key IN (s.role, 'final') AND c.id > s.id)
      AND NOT EXISTS (SELECT 1 FROM runs later WHERE later.save_dir = r.save_dir AND later.created_at > r.created_at)
    ORDER BY s.id
    """
)


@dataclass(frozen=True)
class LostSnapshot:
    """A file that was saved and never snapshotted.

    Attributes:
        run_id: Uuid of the run.
        session_id: The session that saved it.
        path: The trainer's file.
        role: `last`, `best` or `final`.
        payload: The facts for the checkpoint event.
    """

    run_id: str
    session_id: int
    path: Path
    role: str
    payload: dict[str, Any]


def lost_snapshots(connection: Connection, now: datetime) -> list[LostSnapshot]:
    """Return what dead sessions saved, did not snapshot, and left on the disk: the final one, else the others."""
    live = live_runs(connection, now)
    lost = [_lost(row) for row in connection.execute(_LOST) if row.run_id not in live and _is_its_own(row)]
    lost = [one for one in lost if os.path.isfile(one.path)]  # noqa: PTH113 - no error where a folder cannot be read
    ended = {one.run_id for one in lost if one.role == "final"}
    return [one for one in lost if one.role == "final" or one.run_id not in ended]


def _is_its_own(row: Row[Any]) -> bool:
    """Return whether the folder is still the run's, as far as it says: another journal's run may have taken it over."""
    try:
        said = json.loads(Path(row.save_dir, RUN_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(said, dict) or said.get("run", row.run_id) == row.run_id


def _lost(row: Row[Any]) -> LostSnapshot:
    file = json.loads(row.file)
    path = Path(file["path"])
    facts = {
        "epoch": row.epoch,
        "filename": path.name,
        "publish": file.get("publish", False),
        "isBest": file.get("isBest", False),
        "salvaged": True,
    }
    return LostSnapshot(row.run_id, row.session_id, path, file["role"], facts)
