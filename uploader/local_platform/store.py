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
from uploader.local_platform.records import Checkpoint, ConsoleChunk, Epoch, Model, Upload

Record = TypeVar("Record", Model, Epoch, ConsoleChunk, Upload, Checkpoint)

_JSON = frozenset(
    "train_args environment system model_info progress results class_names plots error data".split()
)


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
        # check_same_thread is SQLite's guard against unlocked sharing; the lock is what allows sharing here.
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        # A lost power supply may cost the last events: trainings keep their own journal, and checkpoints are fsynced.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
            self._writer.execute(f"PRAGMA {pragma}")
        self._create_tables()

    def _create_tables(self) -> None:
        found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if found > schema.VERSION:
            raise StoreVersionError(
                f"{self._path} has layout {found}, this program knows {schema.VERSION}: upgrade it"
            )
        if found == 0:
            script = f"BEGIN; {schema.TABLES} PRAGMA user_version={schema.VERSION}; COMMIT;"
            self._writer.executescript(script)

    @contextmanager
    def write(self) -> Iterator[Rows]:
        """Yield the tables inside one transaction: all of the block is committed, or, if it raises, none of it."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Rows(self._writer)
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

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

    # Models and runs

    def model(self, model_id: str) -> Model | None:
        """Return the model with this id."""
        return self._one(Model, "models WHERE id = ?", model_id)

    def model_by_slug(self, owner: str, project: str, slug: str) -> Model | None:
        """Return the model at this address."""
        return self._one(Model, "models WHERE owner = ? AND project = ? AND slug = ?", owner, project, slug)

    def model_by_name(self, owner: str, project: str, name: str) -> Model | None:
        """Return the newest model that was registered under this name, whatever slug it was given."""
        where = "models WHERE owner = ? AND project = ? AND name = ? ORDER BY rowid DESC LIMIT 1"
        return self._one(Model, where, owner, project, name)

    def models(self, owner: str | None = None, project: str | None = None, limit: int = -1) -> list[Model]:
        """Return models, newest first: all of them, or those of one project; `limit` -1 means no limit."""
        if owner is None:
            return self._all(Model, "models ORDER BY rowid DESC LIMIT ?", limit)
        where = "models WHERE owner = ? AND project = ? ORDER BY rowid DESC LIMIT ?"
        return self._all(Model, where, owner, project, limit)

    def insert_model(self, model: Model) -> None:
        """Add a model."""
        self._insert("models", model)

    def update_model(self, model_id: str, changes: dict[str, Any]) -> None:
        """Set fields of a model; the names are those of `Model`."""
        assignments = ", ".join(f"{name} = ?" for name in changes)
        values = [_encode(name, value) for name, value in changes.items()]
        self._connection.execute(f"UPDATE models SET {assignments} WHERE id = ?", [*values, model_id])

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

    # What trainings report, by natural key: the same content again changes nothing, not even the time

    def put_epoch(self, model_id: str, epoch: Epoch) -> None:
        """Keep an epoch; one that was trained again replaces the earlier one."""
        self._put("epochs", "epoch", model_id, epoch.epoch, epoch.data, epoch.timestamp)

    def put_chunk(self, model_id: str, chunk: ConsoleChunk) -> None:
        """Keep a console chunk under its id."""
        self._put("console", "chunk_id", model_id, chunk.chunk_id, chunk.data, chunk.timestamp)

    def epochs(self, model_id: str) -> list[Epoch]:
        """Return a model's epochs in order."""
        return self._all(Epoch, "epochs WHERE model_id = ? ORDER BY epoch", model_id)

    def chunks(self, model_id: str) -> list[ConsoleChunk]:
        """Return a model's console chunks in order of their ids."""
        return self._all(ConsoleChunk, "console WHERE model_id = ? ORDER BY chunk_id", model_id)

    # Uploads and checkpoints

    def upload(self, upload_id: str) -> Upload | None:
        """Return the upload with this id."""
        return self._one(Upload, "uploads WHERE id = ?", upload_id)

    def upload_at(self, model_id: str, path: str) -> Upload | None:
        """Return the upload to this path whose bytes arrived last."""
        where = "uploads WHERE model_id = ? AND path = ? AND sha256 NOT NULL ORDER BY rowid DESC LIMIT 1"
        return self._one(Upload, where, model_id, path)

    def insert_upload(self, upload: Upload) -> None:
        """Add an upload that is expected."""
        self._insert("uploads", upload)

    def finish_upload(self, upload_id: str, sha256: str, size: int) -> None:
        """Record which bytes arrived."""
        statement = "UPDATE uploads SET sha256 = ?, size = ? WHERE id = ?"
        self._connection.execute(statement, [sha256, size, upload_id])

    def insert_checkpoint(self, upload: Upload, saved_at: str) -> None:
        """Promote arrived bytes; those that the run already has keep their place."""
        statement = (
            "INSERT INTO checkpoints (model_id, run_id, sha256, size, filename, path, saved_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, sha256) DO NOTHING"
        )
        row = [
            upload.model_id,
            upload.run_id,
            upload.sha256,
            upload.size,
            upload.filename,
            upload.path,
            saved_at,
        ]
        self._connection.execute(statement, row)

    def checkpoint(self, checkpoint_id: int) -> Checkpoint | None:
        """Return the checkpoint with this id."""
        return self._one(Checkpoint, "checkpoints WHERE id = ?", checkpoint_id)

    def checkpoints(self, model_id: str) -> list[Checkpoint]:
        """Return a model's checkpoints in the order in which they were promoted."""
        return self._all(Checkpoint, "checkpoints WHERE model_id = ? ORDER BY id", model_id)

    def forget_uploads(self, before: str) -> set[str]:
        """Drop uploads from before a time (ISO 8601) that became no checkpoint; return the sha256 still referred to."""
        self._connection.execute(
            "DELETE FROM uploads WHERE created_at < ? AND (sha256 IS NULL OR NOT EXISTS"
            " (SELECT 1 FROM checkpoints WHERE run_id = uploads.run_id AND sha256 = uploads.sha256))",
            [before],
        )
        kept = "SELECT sha256 FROM uploads WHERE sha256 NOT NULL UNION SELECT sha256 FROM checkpoints"
        return {row[0] for row in self._connection.execute(kept)}

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

    def _put(self, table: str, key: str, model_id: str, value: int | str, data: Any, timestamp: str) -> None:
        self._connection.execute(
            f"INSERT INTO {table} (model_id, {key}, data, timestamp) VALUES (?, ?, ?, ?)"
            f" ON CONFLICT (model_id, {key}) DO UPDATE SET data = excluded.data, timestamp = excluded.timestamp"
            " WHERE data <> excluded.data",
            [model_id, value, _encode("data", data), timestamp],
        )

    def _insert(self, table: str, record: Model | Upload) -> None:
        names = [field.name for field in fields(record)]
        marks = ", ".join("?" * len(names))
        values = [_encode(name, getattr(record, name)) for name in names]
        self._connection.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)

    def _one(self, kind: type[Record], source: str, *parameters: Any) -> Record | None:
        return next(iter(self._all(kind, source, *parameters)), None)

    def _all(self, kind: type[Record], source: str, *parameters: Any) -> list[Record]:
        names = [field.name for field in fields(kind)]
        rows = self._connection.execute(f"SELECT {', '.join(names)} FROM {source}", parameters)
        return [kind(**{name: _decode(name, value) for name, value in zip(names, row)}) for row in rows]


def _encode(name: str, value: Any) -> Any:
    if name not in _JSON or value is None:
        return value
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise Invalid(f"'{name}' holds a number that JSON cannot carry") from error


def _decode(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON and value is not None else value
