"""The store's table of the conversions into other formats that clients have ordered."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from uploader.server.storage import record_table

_INSERT = "INSERT INTO exports (id, model_id, format, args, gpu_type, created_at) VALUES (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Export:
    """An order to convert a model.

    Attributes:
        id: Its own.
        model_id: The model.
        format: Into which it is to be converted.
        args: Further arguments, as JSON text; None for none.
        gpu_type: On which the client wants it to be made; None for any.
        created_at: When it was ordered, ISO 8601 in UTC.
    """

    id: str
    model_id: str
    format: str
    args: str | None
    gpu_type: str | None
    created_at: str


class ExportRows:
    """Queries on this table, valid inside one `Store.write` or `Store.read` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def insert(self, export: Export) -> None:
        """Add an order."""
        self._connection.execute(_INSERT, [record_table.storable(value) for value in vars(export).values()])

    def of(self, model_id: str) -> list[Export]:
        """Return what was ordered for a model, newest first."""
        query = "SELECT * FROM exports WHERE model_id = ? ORDER BY rowid DESC"
        return [Export(*row) for row in self._connection.execute(query, [model_id])]

    def delete(self, export: Export) -> None:
        """Forget an order."""
        self._connection.execute("DELETE FROM exports WHERE id = ?", [export.id])
