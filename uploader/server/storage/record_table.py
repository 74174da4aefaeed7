"""Reading and writing records as rows of the tables that have their fields as columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from uploader.server.http_errors import Invalid
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Epoch, Medium, Model, Overview, Run, Upload

Record = TypeVar("Record", Model, Overview, Run, Epoch, ConsoleChunk, Medium, Upload, Checkpoint)

_TABLES = {
    Model: "models",
    Overview: "models",
    Run: "runs",
    Epoch: "epochs",
    ConsoleChunk: "console",
    Medium: "media",
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
        "metadata",
        "properties",
        "data",
    }
)
"""Columns that contain JSON text."""

# Table and column names in the statements below are those of `records`, never from a request.


def insert(connection: sqlite3.Connection, record: Model | Upload) -> None:
    """Add a record to its table.

    Raises:
        Invalid: A field contains a number that JSON cannot express.
    """
    names = [field.name for field in fields(record)]
    marks = ", ".join("?" * len(names))
    values = [encode(name, getattr(record, name)) for name in names]
    statement = f"INSERT INTO {_TABLES[type(record)]} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
    connection.execute(statement, values)


def select(connection: sqlite3.Connection, kind: type[Record], where: str, *parameters: Any) -> list[Record]:
    """Return the records that a WHERE clause selects, in the order that it names."""
    names = [field.name for field in fields(kind)]
    statement = f"SELECT {', '.join(names)} FROM {_TABLES[kind]} {where}"  # noqa: S608
    rows = connection.execute(statement, [storable(each) for each in parameters]).fetchall()
    columns = [_decoded(name, [row[at] for row in rows]) for at, name in enumerate(names)]
    return [kind(*values) for values in zip(*columns, strict=True)]


def first(connection: sqlite3.Connection, kind: type[Record], where: str, *parameters: Any) -> Record | None:
    """Return the first record that `select` returns, or None."""
    return next(iter(select(connection, kind, where, *parameters)), None)


def encode(name: str, value: Any) -> Any:
    """Return a value as it is stored in the column of this name.

    Raises:
        Invalid: It contains a number that JSON cannot express.
    """
    if name not in _JSON or value is None:
        return storable(value)
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise Invalid(f"'{name}' contains a number that JSON cannot express") from error


def storable(value: Any) -> Any:
    """Return a value that SQLite accepts: JSON can contain a lone surrogate, which UTF-8 cannot encode."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _decoded(name: str, column: Sequence[Any]) -> Sequence[Any]:
    """Return a column's values: JSON is parsed all at once, which takes a third of the time."""
    if name not in _JSON:
        return column
    found: list[Any] = json.loads(f"[{','.join('null' if each is None else each for each in column)}]")
    return found
