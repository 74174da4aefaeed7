"""The store's tables of uploads and checkpoints."""

from __future__ import annotations

import sqlite3

from uploader.server.storage import record_table
from uploader.server.storage.store_records import Checkpoint, Upload

_PUT_CHECKPOINT = """
    INSERT INTO checkpoints (model_id, run_id, sha256, size, filename, path, saved_at, rank, arrived_at)
    VALUES (:model_id, :run_id, :sha256, :size, :filename, :path, coalesce(:saved_at, :arrived_at), :rank, :arrived_at)
    ON CONFLICT (run_id, sha256) DO UPDATE SET rank = max(rank, excluded.rank)
"""
_FORGET_FILES = """
    UPDATE uploads SET sha256 = NULL, size = NULL WHERE created_at < ? AND NOT EXISTS
        (SELECT 1 FROM checkpoints WHERE run_id = uploads.run_id AND sha256 = uploads.sha256)
"""
_USED_FILES = """
    SELECT sha256 FROM uploads WHERE sha256 NOT NULL
    UNION SELECT sha256 FROM checkpoints UNION SELECT sha256 FROM hub_weights
    UNION SELECT sha256 FROM dataset_files WHERE sha256 NOT NULL
"""


class UploadRows:
    """Queries on these tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, upload_id: str) -> Upload | None:
        """Return the upload with this id."""
        return record_table.first(self._connection, Upload, "WHERE id = ?", upload_id)

    def at(self, model_id: str, path: str) -> Upload | None:
        """Return the newest upload to this path whose bytes have arrived."""
        where = "WHERE model_id = ? AND path = ? AND sha256 NOT NULL ORDER BY rowid DESC LIMIT 1"
        return record_table.first(self._connection, Upload, where, model_id, path)

    def insert(self, upload: Upload) -> None:
        """Add an upload that is expected."""
        record_table.insert(self._connection, upload)

    def finish(self, upload_id: str, sha256: str, size: int) -> None:
        """Record which bytes arrived."""
        statement = "UPDATE uploads SET sha256 = ?, size = ? WHERE id = ?"
        self._connection.execute(statement, [sha256, size, upload_id])

    def promote(self, upload: Upload, arrived_at: str) -> None:
        """Make a checkpoint of an upload that has arrived; if the run already has these bytes, its checkpoint stays."""
        self._connection.execute(_PUT_CHECKPOINT, {**vars(upload), "arrived_at": arrived_at})

    def checkpoint(self, checkpoint_id: int) -> Checkpoint | None:
        """Return the checkpoint with this id."""
        return record_table.first(self._connection, Checkpoint, "WHERE id = ?", checkpoint_id)

    def checkpoints(self, model_id: str) -> list[Checkpoint]:
        """Return a model's checkpoints in the order in which they became checkpoints."""
        return record_table.select(self._connection, Checkpoint, "WHERE model_id = ? ORDER BY id", model_id)

    def forget_files(self, before: str) -> set[str]:
        """Forget the files of uploads created before a time (ISO 8601) that did not become checkpoints.

        The uploads themselves stay, since their clients may still send the file again.

        Returns:
            The sha256 of every file that is still referenced.
        """
        self._connection.execute(_FORGET_FILES, [before])
        return {row[0] for row in self._connection.execute(_USED_FILES)}
