"""The store's tables of datasets that clients have made, of files for them, and of their versions."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from uploader.server.storage import record_table

_PUT = """
    INSERT INTO datasets (id, owner, slug, properties, metadata, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET properties = excluded.properties, metadata = excluded.metadata,
        updated_at = excluded.updated_at
"""
_PUT_FILE = """
    INSERT INTO dataset_files (id, dataset_id, filename, declared_size, sha256, size, ingested)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size, ingested = excluded.ingested
"""


@dataclass(frozen=True)
class Dataset:
    """A dataset.

    Attributes:
        id: Its own.
        owner: Whose it is.
        slug: Its name in addresses.
        properties: What people say of it, under the names of the API.
        metadata: What clients have put there under names of their own.
        created_at: When it was made, ISO 8601 in UTC.
        updated_at: When it was changed.
    """

    id: str
    owner: str
    slug: str
    properties: dict[str, Any]
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class DatasetFile:
    """A file that a client uploads for a dataset.

    Attributes:
        id: Of the upload.
        dataset_id: The dataset.
        filename: As the client calls it.
        declared_size: Bytes, as the client announced.
        sha256: Of the bytes; None until they have arrived.
        size: Bytes that have arrived.
        ingested: Whether they are a part of the dataset.
    """

    id: str
    dataset_id: str
    filename: str
    declared_size: int
    sha256: str | None = None
    size: int | None = None
    ingested: bool = False


class DatasetRows:
    """Queries on these tables, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def at(self, owner: str, slug: str) -> Dataset | None:
        """Return the dataset at an address."""
        return self._first("owner = ? AND slug = ?", owner, slug)

    def get(self, dataset_id: str) -> Dataset | None:
        """Return the dataset with this id."""
        return self._first("id = ?", dataset_id)

    def put(self, dataset: Dataset) -> None:
        """Add a dataset, or change what is said of it."""
        values = [json.dumps(each) if isinstance(each, dict) else each for each in vars(dataset).values()]
        self._connection.execute(_PUT, [record_table.storable(value) for value in values])

    def file(self, file_id: str) -> DatasetFile | None:
        """Return a file by the id of its upload."""
        row = self._connection.execute("SELECT * FROM dataset_files WHERE id = ?", [file_id]).fetchone()
        return replace(DatasetFile(*row), ingested=bool(row[-1])) if row else None

    def put_file(self, file: DatasetFile) -> None:
        """Add a file that is expected, or what has become of it."""
        self._connection.execute(_PUT_FILE, [record_table.storable(value) for value in vars(file).values()])

    def contents(self, dataset_id: str) -> list[str]:
        """Return the sha256 of each file that is a part of a dataset, sorted."""
        query = "SELECT DISTINCT sha256 FROM dataset_files WHERE dataset_id = ? AND ingested ORDER BY sha256"
        return [sha256 for (sha256,) in self._connection.execute(query, [dataset_id])]

    def version(self, dataset_id: str, content_hash: str) -> tuple[int, bool]:
        """Return the number of the version with this content, which is added if it is new, and whether it was known."""
        query = "SELECT version FROM dataset_versions WHERE dataset_id = ? AND content_hash = ?"
        if row := self._connection.execute(query, [dataset_id, content_hash]).fetchone():
            return int(row[0]), True
        newest = "SELECT coalesce(max(version), 0) FROM dataset_versions WHERE dataset_id = ?"
        number = int(self._connection.execute(newest, [dataset_id]).fetchone()[0]) + 1
        self._connection.execute("INSERT INTO dataset_versions VALUES (?, ?, ?)", [dataset_id, number, content_hash])
        return number, False

    def _first(self, where: str, *values: str) -> Dataset | None:
        row = self._connection.execute(f"SELECT * FROM datasets WHERE {where}", values).fetchone()  # noqa: S608
        if row is None:
            return None
        id_, owner, slug, properties, metadata, *times = row
        return Dataset(id_, owner, slug, json.loads(properties), json.loads(metadata), *times)
