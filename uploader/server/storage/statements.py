"""Queries on the store's tables: models, runs, epochs and console text here, the other tables as properties."""

from __future__ import annotations

import sqlite3
from typing import Any

from uploader.server.storage import record_table
from uploader.server.storage.answer_store import AnswerRows
from uploader.server.storage.dataset_store import DatasetRows
from uploader.server.storage.export_store import ExportRows
from uploader.server.storage.hub_store import HubRows
from uploader.server.storage.ordering import Order, is_older
from uploader.server.storage.shown_store import ShownRows
from uploader.server.storage.store_records import ConsoleChunk, Epoch, Medium, Model, Project, Run
from uploader.server.storage.transfer_store import TransferRows
from uploader.server.storage.upload_store import UploadRows
from uploader.server.storage.witness_store import WitnessRows
from uploader.server.times import When

# The same content again changes neither when it arrived nor, unless the client tells that, when it happened.
_NEW_TIMES = """
        timestamp = CASE WHEN data <> excluded.data OR excluded.timestamp <> excluded.arrived_at
                    THEN excluded.timestamp ELSE timestamp END,
        arrived_at = CASE WHEN data <> excluded.data THEN excluded.arrived_at ELSE arrived_at END
"""
_PUT_EPOCH = f"""
    INSERT INTO epochs (model_id, epoch, data, timestamp, rank, arrived_at, is_evaluation) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (model_id, epoch) DO UPDATE SET data = excluded.data, rank = coalesce(excluded.rank, rank),
        is_evaluation = excluded.is_evaluation, {_NEW_TIMES}
"""  # noqa: S608 - a constant of this module
_PUT_CHUNK = f"""
    INSERT INTO console (model_id, chunk_id, data, timestamp, rank, session, first, last, arrived_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (model_id, chunk_id) DO UPDATE SET data = excluded.data, rank = coalesce(excluded.rank, rank),
        session = coalesce(excluded.session, session), first = coalesce(excluded.first, first),
        last = coalesce(excluded.last, last), {_NEW_TIMES}
"""  # noqa: S608 - a constant of this module
_PUT_MEDIUM = f"""
    INSERT INTO media (model_id, name, step, data, timestamp, rank, arrived_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (model_id, name, step) DO UPDATE SET data = excluded.data, rank = coalesce(excluded.rank, rank),
        {_NEW_TIMES}
"""  # noqa: S608 - a constant of this module
_MEDIUM_RANK = "SELECT rank FROM media WHERE model_id = ? AND name = ? AND step = ?"
_EPOCH_RANK = "SELECT rank FROM epochs WHERE model_id = ? AND epoch = ?"
_SAME_SESSION = "model_id = :model_id AND session = :session"
_COVERED = f"""
    SELECT 1 FROM console WHERE {_SAME_SESSION} AND first <= :first AND last >= :last AND last - first > :last - :first
"""  # noqa: S608 - a constant of this module
_DROP_COVERED = f"""
    DELETE FROM console WHERE {_SAME_SESSION} AND first >= :first AND last <= :last AND last - first < :last - :first
"""  # noqa: S608 - a constant of this module
_NEWEST_TIMES = """
    SELECT (SELECT timestamp FROM epochs WHERE model_id = :id ORDER BY epoch DESC LIMIT 1),
        (SELECT timestamp FROM console WHERE model_id = :id ORDER BY chunk_id DESC LIMIT 1)
"""
_PROJECTS = """
    SELECT owner, project, project_name, count(*), min(created_at), max(updated_at) FROM models
    WHERE owner = ? GROUP BY project ORDER BY min(rowid) DESC
"""


class Rows:
    """Queries on the tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def hub(self) -> HubRows:
        """The tables for HUB's API, in the same transaction."""
        return HubRows(self._connection)

    @property
    def uploads(self) -> UploadRows:
        """The tables of uploads and checkpoints, in the same transaction."""
        return UploadRows(self._connection)

    @property
    def answers(self) -> AnswerRows:
        """The table of answers by idempotency key, in the same transaction."""
        return AnswerRows(self._connection)

    @property
    def transfers(self) -> TransferRows:
        """The table of resumable uploads, in the same transaction."""
        return TransferRows(self._connection)

    @property
    def witness(self) -> WitnessRows:
        """The table of countersigned heads, in the same transaction."""
        return WitnessRows(self._connection)

    @property
    def datasets(self) -> DatasetRows:
        """The tables of datasets, in the same transaction."""
        return DatasetRows(self._connection)

    @property
    def exports(self) -> ExportRows:
        """The table of ordered conversions, in the same transaction."""
        return ExportRows(self._connection)

    @property
    def shown(self) -> ShownRows:
        """What pages show, in the same transaction."""
        return ShownRows(self._connection)

    # Models and runs

    def model(self, model_id: str) -> Model | None:
        """Return the model with this id."""
        return record_table.first(self._connection, Model, "WHERE id = ?", model_id)

    def model_by_slug(self, owner: str, project: str, slug: str) -> Model | None:
        """Return the model at this address."""
        return record_table.first(
            self._connection, Model, "WHERE owner = ? AND project = ? AND slug = ?", owner, project, slug
        )

    def numbered_slugs(self, owner: str, project: str, slug: str) -> set[str]:
        """Return the project's slugs that are this one, or begin with it and a hyphen."""
        query = """SELECT slug FROM models WHERE owner = ? AND project = ?
                   AND (slug = ? OR slug > ? || '-' AND slug < ? || '.')"""  # "." follows "-" in ASCII
        return {found for (found,) in self._connection.execute(query, [owner, project, slug, slug, slug])}

    def model_by_name(self, owner: str, project: str, name: str) -> Model | None:
        """Return the newest model registered under this name, whatever slug it got."""
        where = "WHERE owner = ? AND project = ? AND name = ? ORDER BY rowid DESC LIMIT 1"
        return record_table.first(self._connection, Model, where, owner, project, name)

    def models(self, owner: str, project: str, limit: int) -> list[Model]:
        """Return a project's models, newest first; `limit` -1 means no limit."""
        where = "WHERE owner = ? AND project = ? ORDER BY rowid DESC LIMIT ?"
        return record_table.select(self._connection, Model, where, owner, project, limit)

    def projects(self, owner: str) -> list[Project]:
        """Return an owner's projects, newest first."""
        return [Project(*row) for row in self._connection.execute(_PROJECTS, [record_table.storable(owner)])]

    def count_projects(self) -> tuple[int, int]:
        """Return how many projects and models there are."""
        query = "SELECT count(DISTINCT owner || '/' || project), count(*) FROM models"
        row = self._connection.execute(query).fetchone()
        return int(row[0]), int(row[1])

    def models_of_run(self, owner: str, run: str) -> list[Model]:
        """Return an owner's models that their clients registered for this run, newest first."""
        where = "WHERE owner = ? AND json_extract(environment, '$.uploaderRun') = ? ORDER BY rowid DESC"
        return record_table.select(self._connection, Model, where, owner, run)

    def heard_at(self, model: Model) -> str:
        """Return when the newest thing that is known of a training happened."""
        times = self._connection.execute(_NEWEST_TIMES, {"id": model.id}).fetchone()
        return max(model.heard_at or model.updated_at, *(each or "" for each in times))

    def insert_model(self, model: Model) -> None:
        """Add a model."""
        record_table.insert(self._connection, model)

    def update_model(self, model_id: str, changes: dict[str, Any]) -> None:
        """Set fields of a model; the names are those of `Model`."""
        assignments = ", ".join(f"{name} = ?" for name in changes)
        values = [record_table.encode(name, value) for name, value in changes.items()]
        self._connection.execute(f"UPDATE models SET {assignments} WHERE id = ?", [*values, model_id])  # noqa: S608

    def delete_model(self, model_id: str) -> None:
        """Delete a model and everything recorded for it."""
        self._connection.execute("DELETE FROM models WHERE id = ?", [model_id])

    def insert_run(self, model_id: str, started_at: str, arrived_at: str) -> int:
        """Add a run to a model and return its id."""
        statement = "INSERT INTO runs (model_id, started_at, arrived_at) VALUES (?, ?, ?)"
        return int(self._connection.execute(statement, [model_id, started_at, arrived_at]).lastrowid or 0)

    def date_run(self, run_id: int, when: When) -> None:
        """Set when a run began, if the client tells that."""
        if when.is_told:
            self._connection.execute("UPDATE runs SET started_at = ? WHERE id = ?", [when.begun, run_id])

    def runs(self, model_id: str) -> list[Run]:
        """Return a model's runs, oldest first."""
        return record_table.select(self._connection, Run, "WHERE model_id = ? ORDER BY id", model_id)

    def run_ids(self, model_id: str) -> list[int]:
        """Return the ids of a model's runs, newest first."""
        statement = "SELECT id FROM runs WHERE model_id = ? ORDER BY id DESC"
        return [row[0] for row in self._connection.execute(statement, [model_id])]

    # What trainings report, by natural key

    def put_epoch(self, model_id: str, epoch: Epoch, order: Order | None = None) -> bool:
        """Store an epoch in place of an earlier one, and return True; return False if a newer one is stored."""
        known = self._connection.execute(_EPOCH_RANK, [model_id, epoch.epoch]).fetchone()
        if is_older(order, known[0] if known else None):
            return False
        data, rank = record_table.encode("data", epoch.data), order.rank if order else None
        row = [model_id, epoch.epoch, data, epoch.timestamp, rank, epoch.arrived_at, epoch.is_evaluation]
        self._connection.execute(_PUT_EPOCH, row)
        return True

    def put_medium(self, model_id: str, medium: Medium, order: Order | None = None) -> bool:
        """Store an image or a plot in place of an earlier one, as `put_epoch` does an epoch."""
        place = [model_id, record_table.storable(medium.name), medium.step]
        known = self._connection.execute(_MEDIUM_RANK, place).fetchone()
        if is_older(order, known[0] if known else None):
            return False
        data, rank = record_table.encode("data", medium.data), order.rank if order else None
        self._connection.execute(_PUT_MEDIUM, [*place, data, medium.timestamp, rank, medium.arrived_at])
        return True

    def media(self, model_id: str, newest: int) -> list[Medium]:
        """Return a model's images and plots with the highest steps, newest first; -1 means all."""
        where = "WHERE model_id = ? ORDER BY step DESC, name LIMIT ?"
        return record_table.select(self._connection, Medium, where, model_id, newest)

    def count_media(self, model_id: str) -> int:
        """Return how many there are."""
        return int(self._connection.execute("SELECT count(*) FROM media WHERE model_id = ?", [model_id]).fetchone()[0])

    def put_chunk(self, model_id: str, chunk: ConsoleChunk, order: Order | None = None) -> bool:
        """Store a console chunk under its id, and return whether it was stored.

        A chunk whose events are all part of a longer stored chunk is not stored, because its text is there already. A
        longer chunk replaces the shorter ones that it contains.
        """
        position = (order.rank, order.session, order.first, order.last) if order else (None,) * 4
        if order:
            span = {"model_id": model_id, "session": order.session, "first": order.first, "last": order.last}
            if self._connection.execute(_COVERED, span).fetchone():
                return False
            self._connection.execute(_DROP_COVERED, span)
        row = [
            model_id,
            record_table.storable(chunk.chunk_id),
            record_table.encode("data", chunk.data),
            chunk.timestamp,
            *position,
            chunk.arrived_at,
        ]
        self._connection.execute(_PUT_CHUNK, row)
        return True

    def forget_ranks(self, model_id: str) -> None:
        """Let everything stored for a model be replaced, whatever its order: another run now uses its name."""
        for table in ("epochs", "console", "media", "uploads", "checkpoints"):
            self._connection.execute(f"UPDATE {table} SET rank = NULL WHERE model_id = ?", [model_id])  # noqa: S608
        self._connection.execute("UPDATE console SET session = NULL WHERE model_id = ?", [model_id])

    def epochs(self, model_id: str) -> list[Epoch]:
        """Return a model's epochs in order."""
        return record_table.select(self._connection, Epoch, "WHERE model_id = ? ORDER BY epoch", model_id)

    def last_epochs(self, model_id: str, most: int) -> list[Epoch]:
        """Return a model's epochs with the highest numbers, in order."""
        where = "WHERE model_id = ? ORDER BY epoch DESC LIMIT ?"
        return record_table.select(self._connection, Epoch, where, model_id, most)[::-1]

    def chunks(self, model_id: str, newest: int) -> list[ConsoleChunk]:
        """Return a model's newest console chunks, ordered by id; -1 means all."""
        found = record_table.select(
            self._connection, ConsoleChunk, "WHERE model_id = ? ORDER BY chunk_id DESC LIMIT ?", model_id, newest
        )
        return found[::-1]
