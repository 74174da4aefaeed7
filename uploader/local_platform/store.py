"""The local platform's state in one SQLite file. All SQL of the server is here; the tables are in `schema`.

One connection writes, under a lock, in short transactions; every reader opens its own. So a slow page never holds
up a training, and no two connections ever checkpoint the WAL while the other commits.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from uploader.local_platform import schema
from uploader.local_platform.errors import Invalid
from uploader.local_platform.hub_store import HubRows
from uploader.local_platform.records import Checkpoint, ConsoleChunk, Epoch, Model, Overview, Upload

Record = TypeVar("Record", Model, Epoch, ConsoleChunk, Upload, Checkpoint)

_TABLES = {
    Model: "models",
    Epoch: "epochs",
    ConsoleChunk: "console",
    Upload: "uploads",
    Checkpoint: "checkpoints",
}

_JSON = frozenset(
    {
        "train_args",
        "environment",
        "system",
        "model_info",
        "progress",
        "results",
        "class_names",
        "plots",
        "error",
        "data",
    }
)
"""Columns that hold JSON text."""

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
_PUT_CHECKPOINT = """
    INSERT INTO checkpoints (model_id, run_id, sha256, size, filename, path, saved_at)
    VALUES (:model_id, :run_id, :sha256, :size, :filename, :path, :saved_at)
    ON CONFLICT (run_id, sha256) DO NOTHING
"""
_FORGET_FILES = """
    UPDATE uploads SET sha256 = NULL, size = NULL WHERE created_at < ? AND NOT EXISTS
        (SELECT 1 FROM checkpoints WHERE run_id = uploads.run_id AND sha256 = uploads.sha256)
"""
_USED_FILES = """
    SELECT sha256 FROM uploads WHERE sha256 NOT NULL
    UNION SELECT sha256 FROM checkpoints UNION SELECT sha256 FROM hub_weights
"""
_OVERVIEWS = """
    SELECT id, owner, project, slug, status, epochs, started_at,
        (SELECT count(*) FROM epochs WHERE model_id = models.id),
        (SELECT count(*) FROM checkpoints WHERE model_id = models.id)
    FROM models ORDER BY models.rowid DESC LIMIT ?
"""


class StoreVersionError(Exception):
    """The file was written by a newer version of this program; it is left untouched."""


class Store:
    """Opens the file, and owns its writing connection.

    Args:
        path: The SQLite file; made, with its tables, when it does not exist.

    Raises:
        StoreVersionError: A newer version wrote the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        # check_same_thread is SQLite's guard against unlocked sharing; the lock is what allows sharing here.
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._writer.close()
            raise

    def _prepare(self) -> None:
        found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if found > schema.VERSION:
            raise StoreVersionError(f"{self._path} has layout {found}, this program knows {schema.VERSION}: upgrade it")
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000"):
            self._writer.execute(f"PRAGMA {pragma}")
        for version, step in enumerate(schema.STEPS[found:], found + 1):
            self._writer.executescript(f"BEGIN; {step} PRAGMA user_version={version}; COMMIT;")

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Rows]:
        """Yield the tables inside one transaction: all of the block is committed, or, if it raises, none of it.

        Args:
            durable: Whether the commit, and with it every earlier one, is to survive a power cut. The others survive
                the end of the process only, which makes them several times faster.
        """
        with self._lock:
            self._writer.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Rows(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # SQLite ends it by itself when the disk is full
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[Rows]:
        """Yield the tables as one consistent picture that later writes do not change."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            yield Rows(connection)

    def close(self) -> None:
        """Close the writing connection; SQLite folds the WAL back into the file."""
        with self._lock:
            self._writer.close()


class Rows:
    """Statements on the tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def hub(self) -> HubRows:
        """The tables of HUB's API, in the same transaction."""
        return HubRows(self._connection)

    # Models and runs

    def model(self, model_id: str) -> Model | None:
        """Return the model with this id."""
        return self._one(Model, "WHERE id = ?", model_id)

    def model_by_slug(self, owner: str, project: str, slug: str) -> Model | None:
        """Return the model at this address."""
        return self._one(Model, "WHERE owner = ? AND project = ? AND slug = ?", owner, project, slug)

    def model_by_name(self, owner: str, project: str, name: str) -> Model | None:
        """Return the newest model that was registered under this name, whatever slug it was given."""
        where = "WHERE owner = ? AND project = ? AND name = ? ORDER BY rowid DESC LIMIT 1"
        return self._one(Model, where, owner, project, name)

    def models(self, owner: str, project: str, limit: int) -> list[Model]:
        """Return a project's models, newest first; `limit` -1 means no limit."""
        where = "WHERE owner = ? AND project = ? ORDER BY rowid DESC LIMIT ?"
        return self._all(Model, where, owner, project, limit)

    def overviews(self, limit: int) -> list[Overview]:
        """Return one line about each of the newest models."""
        return [Overview(*row) for row in self._connection.execute(_OVERVIEWS, [limit])]

    def insert_model(self, model: Model) -> None:
        """Add a model."""
        self._insert(model)

    def update_model(self, model_id: str, changes: dict[str, Any]) -> None:
        """Set fields of a model; the names are those of `Model`."""
        assignments = ", ".join(f"{name} = ?" for name in changes)
        values = [_encode(name, value) for name, value in changes.items()]
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
        row = [model_id, epoch.epoch, _encode("data", epoch.data), epoch.timestamp]
        self._connection.execute(_PUT_EPOCH, row)

    def put_chunk(self, model_id: str, chunk: ConsoleChunk) -> None:
        """Keep a console chunk under its id."""
        row = [model_id, chunk.chunk_id, _encode("data", chunk.data), chunk.timestamp]
        self._connection.execute(_PUT_CHUNK, row)

    def epochs(self, model_id: str) -> list[Epoch]:
        """Return a model's epochs in order."""
        return self._all(Epoch, "WHERE model_id = ? ORDER BY epoch", model_id)

    def chunks(self, model_id: str, newest: int) -> list[ConsoleChunk]:
        """Return a model's newest console chunks in order of their ids; -1 means all."""
        found = self._all(ConsoleChunk, "WHERE model_id = ? ORDER BY chunk_id DESC LIMIT ?", model_id, newest)
        return found[::-1]

    # Uploads and checkpoints

    def upload(self, upload_id: str) -> Upload | None:
        """Return the upload with this id."""
        return self._one(Upload, "WHERE id = ?", upload_id)

    def upload_at(self, model_id: str, path: str) -> Upload | None:
        """Return the upload to this path whose bytes arrived last."""
        where = "WHERE model_id = ? AND path = ? AND sha256 NOT NULL ORDER BY rowid DESC LIMIT 1"
        return self._one(Upload, where, model_id, path)

    def insert_upload(self, upload: Upload) -> None:
        """Add an upload that is expected."""
        self._insert(upload)

    def finish_upload(self, upload_id: str, sha256: str, size: int) -> None:
        """Record which bytes arrived."""
        statement = "UPDATE uploads SET sha256 = ?, size = ? WHERE id = ?"
        self._connection.execute(statement, [sha256, size, upload_id])

    def insert_checkpoint(self, upload: Upload, saved_at: str) -> None:
        """Promote arrived bytes; those that the run already has keep their place."""
        self._connection.execute(_PUT_CHECKPOINT, {**vars(upload), "saved_at": saved_at})

    def checkpoint(self, checkpoint_id: int) -> Checkpoint | None:
        """Return the checkpoint with this id."""
        return self._one(Checkpoint, "WHERE id = ?", checkpoint_id)

    def checkpoints(self, model_id: str) -> list[Checkpoint]:
        """Return a model's checkpoints in the order in which they were promoted."""
        return self._all(Checkpoint, "WHERE model_id = ? ORDER BY id", model_id)

    def forget_files(self, before: str) -> set[str]:
        """Forget what arrived for uploads from before a time (ISO 8601) and became no checkpoint.

        The uploads themselves stay: their clients may come back and send the file again.

        Returns:
            The sha256 of every file that is still referred to.
        """
        self._connection.execute(_FORGET_FILES, [before])
        return {row[0] for row in self._connection.execute(_USED_FILES)}

    # First answers

    def answer(self, scope: str, key: str) -> tuple[str, dict[str, Any]] | None:
        """Return the request digest and the first answer under an idempotency key."""
        statement = "SELECT digest, answer FROM answers WHERE scope = ? AND key = ?"
        row = self._connection.execute(statement, [scope, key]).fetchone()
        return (row[0], json.loads(row[1])) if row else None

    def insert_answer(self, scope: str, key: str, digest: str, answer: dict[str, Any]) -> None:
        """Keep the first answer under an idempotency key."""
        statement = "INSERT INTO answers (scope, key, digest, answer) VALUES (?, ?, ?, ?)"
        self._connection.execute(statement, [scope, key, digest, json.dumps(answer)])

    # Table and column names in the statements below are those of `records`, never from a request.

    def _insert(self, record: Model | Upload) -> None:
        names = [field.name for field in fields(record)]
        marks = ", ".join("?" * len(names))
        values = [_encode(name, getattr(record, name)) for name in names]
        statement = f"INSERT INTO {_TABLES[type(record)]} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
        self._connection.execute(statement, values)

    def _one(self, kind: type[Record], where: str, *parameters: Any) -> Record | None:
        return next(iter(self._all(kind, where, *parameters)), None)

    def _all(self, kind: type[Record], where: str, *parameters: Any) -> list[Record]:
        names = [field.name for field in fields(kind)]
        statement = f"SELECT {', '.join(names)} FROM {_TABLES[kind]} {where}"  # noqa: S608
        rows = self._connection.execute(statement, parameters)
        return [kind(**{name: _decode(name, value) for name, value in zip(names, row, strict=True)}) for row in rows]


def _encode(name: str, value: Any) -> Any:
    if name not in _JSON or value is None:
        return value
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise Invalid(f"'{name}' holds a number that JSON cannot carry") from error


def _decode(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON and value is not None else value
