"""Checkpoints that a session saved but did not live to snapshot.

The training thread records each save before the snapshot is made. If the process dies in between, the trainer's file is
usually still there: it is salvaged later, under the epoch that the event names. The event holds the file's size and
modification time, so a file that another training, or a person, has written since under the same name is left alone.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.checkpoints.blobs import FileStamp, file_stamp
from journal.clock import to_text
from journal.kinds import CHECKPOINT, FINAL, MODEL_SAVED
from journal.schema.neutral import is_in_a_file
from journal.schema.tables import RANK
from journal.sessions.identity import SALVAGE, Session, derived
from journal.sessions.liveness import live_runs

_LOG = logging.getLogger(__name__)
_UNITS = (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)
"""Resolutions of the times that file systems keep, in ns."""

RUN_FILE = "uploader_run.json"
"""Name of the small file in a run's folder that says which run it belongs to, and which journal."""

# Each run's newest save of each role that no checkpoint of that role, and no final one, followed. A damaged event names
# no file. (In a group with max(), SQLite takes the other columns from the row that has the maximum.)
_LOST = text(
    f"""
    SELECT l.run_id, l.epoch, l.file, r.save_dir, l.seq, l.uuid, l.generation,
           max(l.created_at, coalesce(l.heartbeat_at, ''), coalesce(l.ended_at, '')) AS alive_at,
           used.last_at > r.created_at AS is_used_again
    FROM (SELECT e.run_id, e.seq, e.created_at, max({RANK}) AS place, json_extract(e.payload, '$.epoch') AS epoch,
                 json_extract(f.value, '$.role') AS role, f.value AS file,
                 s.uuid, s.generation, s.heartbeat_at, s.ended_at
          FROM events e JOIN sessions s ON s.id = e.session_id,
               json_each(CASE WHEN json_valid(e.payload) THEN e.payload ELSE '{{}}' END, '$.files') f
          WHERE e.kind = '{MODEL_SAVED}'
            AND CASE f.type WHEN 'object' THEN json_type(f.value, '$.path') = 'text'
                                           AND json_type(f.value, '$.role') = 'text' END
          GROUP BY e.run_id, role) l
    JOIN runs r ON r.id = l.run_id
    JOIN (SELECT save_dir, max(created_at) AS last_at FROM runs GROUP BY save_dir) used ON used.save_dir = r.save_dir
    WHERE NOT EXISTS (SELECT 1 FROM events e JOIN sessions s ON s.id = e.session_id
                      WHERE e.run_id = l.run_id AND e.kind = '{CHECKPOINT}' AND e.key IN (l.role, '{FINAL}')
                        AND {RANK} >= l.place)
    ORDER BY l.place
    """  # noqa: S608 - a constant of `tables`
)


@dataclass(frozen=True)
class LostSnapshot:
    """A file that was saved and never snapshotted.

    Attributes:
        run_id: Uuid of the run.
        session: Uuid of the session that saved it.
        generation: That session's.
        seq: Number of the save among the session's events.
        path: The trainer's file.
        stamp: The file's stamp as it was found; only this very file is copied.
        role: `last`, `best` or `final`.
        payload: The facts for the checkpoint event.
    """

    run_id: str
    session: str
    generation: int
    seq: int
    path: Path
    stamp: FileStamp
    role: str
    payload: dict[str, Any]

    def salvaging(self, sha256: str) -> Session:
        """Return the session that records the salvage: its event takes the place of the save in the run."""
        name = derived(SALVAGE, self.session, self.seq, self.role, sha256)
        return Session(self.run_id, name, self.generation, self.session, SALVAGE, self.seq - 1, is_stored=True)


def stamped(found: FileStamp) -> dict[str, int]:
    """Return what a `model_saved` event records of a file, by which it is recognised after a move or copy."""
    return {"size": found[1], "mtimeNs": found[2]}


def lost_snapshots(connection: Connection, now: datetime) -> list[LostSnapshot]:
    """Return the files that dead sessions saved and did not snapshot: of each run the final one, else the others.

    None where the journal is shared: they are on the machines of its trainings, whose own journals take them in.
    """
    if not is_in_a_file(connection):
        return []
    live = live_runs(connection, now)
    rows = [row for row in connection.execute(_LOST) if row.run_id not in live]
    lost = [one for row in rows if (one := _lost(row))]
    ended = {one.run_id for one in lost if one.role == FINAL}
    return [one for one in lost if one.role == FINAL or one.run_id not in ended]


def _lost(row: Row[Any]) -> LostSnapshot | None:
    """Return the file that a row names, or None if it is gone or another one."""
    file = json.loads(row.file)
    path = Path(file["path"])
    found = file_stamp(path) if os.path.isfile(path) else None  # noqa: PTH113 - no error where none can be looked for
    if found is None:
        return None
    if not _is_of_the_save(found, file, row):
        _say_left(path, row.run_id)
        return None
    facts = {
        "epoch": row.epoch,
        "filename": path.name,
        "publish": file.get("publish", False),
        "isBest": file.get("isBest", False),
        "salvaged": True,
    }
    return LostSnapshot(row.run_id, row.uuid, row.generation, row.seq, path, found, file["role"], facts)


@lru_cache(maxsize=1024)
def _say_left(path: Path, run_id: str) -> None:
    """Log it once, because a watching drain checks every minute, with what helps: each further drain says it, too."""
    why = "The checkpoint %s was not taken in: it was written again since run %s saved it"
    helps = "if you have a copy of what it saved, put it there with its time (`cp -p`), and the next drain takes it in"
    _LOG.warning(f"{why}; {helps}; if not, nothing is left to do", path, run_id)


def _is_of_the_save(found: FileStamp, file: dict[str, Any], row: Row[Any]) -> bool:
    """Return whether a file is that of a save, by its recorded size and time, even if its folder was moved."""
    if "size" in file or "mtimeNs" in file:
        return file.get("size") == found[1] and _is_time(file.get("mtimeNs"), found[2])
    # Earlier versions recorded neither. Then the folder must still be the run's, as far as is known, and the file must
    # not be newer than the session's last sign of life.
    if row.is_used_again or not _is_marked(row):
        return False
    return bool(to_text(datetime.fromtimestamp(found[2] / 1e9, timezone.utc)) <= row.alive_at)


def _is_time(noted: object, found: int) -> bool:
    """Return whether a file's time is the recorded one; a mounted disk may store it with a lower resolution."""
    return isinstance(noted, int) and any(found == noted - noted % unit for unit in _UNITS)


def _is_marked(row: Row[Any]) -> bool:
    """Return whether the run file in a folder names the run, or there is none; another journal may have a run there."""
    try:
        content = json.loads(Path(row.save_dir, RUN_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(content, dict) or bool(content.get("run", row.run_id) == row.run_id)
