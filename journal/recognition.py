"""Which run a checkpoint or a folder is of, as far as the journal can tell.

A file is known by what was noted of it when it was saved, or by its bytes, wherever it lies now. A folder is known by
its path, and only on the machine that wrote to it: another one may have another folder there.
"""

from __future__ import annotations

import platform
from pathlib import Path

from sqlalchemy import Connection, text

from journal.blobs import digest, identity
from journal.salvage import stamped

_SAVED = text(
    """
    SELECT e.run_id FROM events e, json_each(CASE WHEN json_valid(e.payload) THEN e.payload ELSE '{}' END, '$.files') f
    WHERE e.kind = 'model_saved' AND f.type = 'object'
      AND json_extract(f.value, '$.size') = :size AND json_extract(f.value, '$.mtimeNs') = :mtimeNs
    ORDER BY e.id DESC LIMIT 1
    """
)
_OF_SIZE = text("SELECT sha256 FROM blobs WHERE size = :size")
_SNAPSHOTTED = text(
    """
    SELECT run_id FROM events
    WHERE kind = 'checkpoint' AND json_valid(payload) AND json_extract(payload, '$.sha256') = :sha256
    ORDER BY id DESC LIMIT 1
    """
)
_IN_FOLDER = text(
    """
    SELECT r.id FROM runs r
    WHERE r.save_dir = :save_dir AND (:before IS NULL OR r.created_at <= :before)
      AND (SELECT s.host FROM sessions s WHERE s.run_id = r.id AND s.purpose IS NULL
           ORDER BY s.generation DESC, s.id DESC LIMIT 1) = :host
    ORDER BY r.created_at DESC LIMIT 1
    """
)

_OF_MODEL = text(
    """
    SELECT run_id FROM targets WHERE json_valid(ids) AND json_extract(ids, '$.modelId') = :model
    UNION
    SELECT run_id FROM events WHERE kind = 'training_started' AND json_valid(payload)
      AND json_extract(payload, '$.environment.platformModel') = :model
    """
)
_RECORDED = text("SELECT EXISTS (SELECT 1 FROM events WHERE run_id = :run_id)")


def run_of_checkpoint(connection: Connection, path: Path) -> str | None:
    """Return the run that saved this file, or one with the same bytes; None where the journal knows neither."""
    found = identity(path)
    if found is None:
        return None
    noted = stamped(found)
    if (run_id := connection.execute(_SAVED, noted).scalar()) is not None:
        return str(run_id)
    known = set(connection.execute(_OF_SIZE, {"size": noted["size"]}).scalars())
    # To read it takes as long as it is large, so only where that can tell something.
    if not known or (sha256 := digest(path)) not in known:
        return None
    return connection.execute(_SNAPSHOTTED, {"sha256": sha256}).scalar()


def run_in_folder(connection: Connection, save_dir: str, before: str | None = None) -> str | None:
    """Return the newest run that this machine wrote to a folder, or None.

    Args:
        connection: To the journal.
        save_dir: The folder, as the journal has it.
        before: A time by which the run had begun.
    """
    row = {"save_dir": save_dir, "before": before, "host": platform.node()}
    return connection.execute(_IN_FOLDER, row).scalar()


def runs_of_model(connection: Connection, model_id: str) -> set[str]:
    """Return the runs that go on as this model of a platform, or are said to when they are delivered."""
    return set(connection.execute(_OF_MODEL, {"model": model_id}).scalars())


def is_recorded(connection: Connection, run_id: str) -> bool:
    """Return whether the journal has anything of a run."""
    return bool(connection.execute(_RECORDED, {"run_id": run_id}).scalar())
