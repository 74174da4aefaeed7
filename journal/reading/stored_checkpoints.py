"""The checkpoints of a run: which of them the journal still has, and where they have arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, text

from journal.kinds import CHECKPOINT
from journal.reading.delivery_records import states_by_event, states_query
from journal.schema.tables import RANK

_CHECKPOINTS = text(
    f"""
    SELECT e.id, e.key AS role, e.payload, e.created_at, b.state AS bytes_are
    FROM events e JOIN sessions s ON s.id = e.session_id
    LEFT JOIN blobs b ON b.sha256 = json_extract(e.payload, '$.sha256')
    WHERE e.run_id = :run AND e.kind = '{CHECKPOINT}' AND json_valid(e.payload)
    ORDER BY {RANK}
    """  # noqa: S608 - names of this package
)
_UPLOADS = states_query("d.lane = 'upload'")


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint that was recorded.

    Attributes:
        role: `last`, `best` or `final`.
        epoch: From 0, as far as it is known.
        filename: As the trainer called it.
        size: Bytes.
        sha256: Of its bytes.
        is_kept: Whether the journal has the bytes; else a newer one replaced it, or they were removed to make room.
        deliveries: The state of its delivery by destination's address; empty where none was planned.
        recorded_at: When, ISO.
    """

    role: str
    epoch: int | None
    filename: str
    size: int
    sha256: str
    is_kept: bool
    deliveries: Mapping[str, str]
    recorded_at: str


def stored_checkpoints(connection: Connection, run_id: str) -> list[StoredCheckpoint]:
    """Return the checkpoints of a run, oldest first.

    Args:
        connection: Any.
        run_id: The run.
    """
    uploads = states_by_event(connection, _UPLOADS, run_id)
    rows = connection.execute(_CHECKPOINTS, {"run": run_id})
    return [_checkpoint(row, uploads.get(row.id, {})) for row in rows]


def _checkpoint(row: Row[tuple[object, ...]], deliveries: Mapping[str, str]) -> StoredCheckpoint:
    found = json.loads(row.payload)
    told = found if isinstance(found, dict) else {}
    epoch, size = told.get("epoch"), told.get("size")
    return StoredCheckpoint(
        role=row.role,
        epoch=epoch if isinstance(epoch, int) else None,
        filename=str(told.get("filename") or ""),
        size=size if isinstance(size, int) else 0,
        sha256=str(told.get("sha256") or ""),
        is_kept=row.bytes_are == "present",
        deliveries=deliveries,
        recorded_at=row.created_at,
    )
