"""All statements on the store's tables: those of models and what trainings report here, the others by name."""

from __future__ import annotations

import sqlite3
from typing import Any

from uploader.local_platform import record_table
from uploader.local_platform.answer_store import AnswerRows
from uploader.local_platform.hub_store import HubRows
from uploader.local_platform.records import ConsoleChunk, Epoch, Model, Overview
from uploader.local_platform.transfer_store import TransferRows
from uploader.local_platform.upload_store import UploadRows

# The same content again changes nothing, not even the time.
_PUT_EPOCH = """
    INSERT INTO epochs (model_id, epoch, data, timestamp) VALUES (?, ?, ?, ?)
    ON CONFLICT (model_id, epoch) DO UPDATE SET data = excluded.data, timestamp = excluded.timestamp
    WHERE data <> excluded.data
"""
_PUT_CHUNK = """
    INSERT INTO console (model_id, chunk_id, data, timestamp) VALUES (?, ?, ?, ?)
    ON CONFLICT (model_id, chunk_id) DO UPDATE SET data = excluded.data, timestamp = excluded.timestamp
    WHERE data <> excluded.data
"""
_OVERVIEWS = """
    SELECT id, owner, project, slug, status, epochs, started_at,
        (SELECT count(*) FROM epochs WHERE model_id = models.id AND (models.epochs IS NULL OR epoch < models.epochs)),
        (SELECT count(*) FROM checkpoints WHERE model_id = models.id)
    FROM models ORDER BY models.rowid DESC LIMIT ?
"""


class Rows:
    """Statements on the tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def hub(self) -> HubRows:
        """The tables of HUB's API, in the same transaction."""
        return HubRows(self._connection)

    @property
    def uploads(self) -> UploadRows:
        """The tables of uploads and checkpoints, in the same transaction."""
        return UploadRows(self._connection)

    @property
    def answers(self) -> AnswerRows:
        """The table of first answers, in the same transaction."""
        return AnswerRows(self._connection)

    @property
    def transfers(self) -> TransferRows:
        """The table of files that arrive in pieces, in the same transaction."""
        return TransferRows(self._connection)

    # Models and runs

    def model(self, model_id: str) -> Model | None:
        """Return the model with this id."""
        return record_table.first(self._connection, Model, "WHERE id = ?", model_id)

    def model_by_slug(self, owner: str, project: str, slug: str) -> Model | None:
        """Return the model at this address."""
        return record_table.first(
            self._connection, Model, "WHERE owner = ? AND project = ? AND slug = ?", owner, project, slug
        )

    def model_by_name(self, owner: str, project: str, name: str) -> Model | None:
        """Return the newest model that was registered under this name, whatever slug it was given."""
        where = "WHERE owner = ? AND project = ? AND name = ? ORDER BY rowid DESC LIMIT 1"
        return record_table.first(self._connection, Model, where, owner, project, name)

    def models(self, owner: str, project: str, limit: int) -> list[Model]:
        """Return a project's models, newest first; `limit` -1 means no limit."""
        where = "WHERE owner = ? AND project = ? ORDER BY rowid DESC LIMIT ?"
        return record_table.select(self._connection, Model, where, owner, project, limit)

    def overviews(self, limit: int) -> list[Overview]:
        """Return one line about each of the newest models."""
        return [Overview(*row) for row in self._connection.execute(_OVERVIEWS, [limit])]

    def insert_model(self, model: Model) -> None:
        """Add a model."""
        record_table.insert(self._connection, model)

    def update_model(self, model_id: str, changes: dict[str, Any]) -> None:
        """Set fields of a model; the names are those of `Model`."""
        assignments = ", ".join(f"{name} = ?" for name in changes)
        values = [record_table.encode(name, value) for name, value in changes.items()]
        self._connection.execute(f"UPDATE models SET {assignments} WHERE id = ?", [*values, model_id])  # noqa: S608

    def delete_model(self, model_id: str) -> None:
        """Remove a model and everything recorded for it."""
        self._connection.execute("DELETE FROM models WHERE id = ?", [model_id])

    def insert_run(self, model_id: str, started_at: str) -> int:
        """Add a run to a model and return its id."""
        statement = "INSERT INTO runs (model_id, started_at) VALUES (?, ?)"
        return int(self._connection.execute(statement, [model_id, started_at]).lastrowid or 0)

    def run_ids(self, model_id: str) -> list[int]:
        """Return the ids of a model's runs, newest first."""
        statement = "SELECT id FROM runs WHERE model_id = ? ORDER BY id DESC"
        return [row[0] for row in self._connection.execute(statement, [model_id])]

    # What trainings report, by natural key

    def put_epoch(self, model_id: str, epoch: Epoch) -> None:
        """Keep an epoch; one that was trained again replaces the earlier one."""
        row = [model_id, epoch.epoch, record_table.encode("data", epoch.data), epoch.timestamp]
        self._connection.execute(_PUT_EPOCH, row)

    def put_chunk(self, model_id: str, chunk: ConsoleChunk) -> None:
        """Keep a console chunk under its id."""
        row = [
            model_id,
            record_table.storable(chunk.chunk_id),
            record_table.encode("data", chunk.data),
            chunk.timestamp,
        ]
        self._connection.execute(_PUT_CHUNK, row)

    def epochs(self, model_id: str) -> list[Epoch]:
        """Return a model's epochs in order."""
        return record_table.select(self._connection, Epoch, "WHERE model_id = ? ORDER BY epoch", model_id)

    def chunks(self, model_id: str, newest: int) -> list[ConsoleChunk]:
        """Return a model's newest console chunks in order of their ids; -1 means all."""
        found = record_table.select(
            self._connection, ConsoleChunk, "WHERE model_id = ? ORDER BY chunk_id DESC LIMIT ?", model_id, newest
        )
        return found[::-1]
