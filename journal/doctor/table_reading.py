"""Reading tables row by row, past the pages that cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_GIVE_UP_AFTER = 100_000
"""After so many row ids in a row that cannot be read, the table is taken to have ended."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Gap:
    """Row ids that could not be read, from `first` to `last`; None for an end that is not known."""

    first: int
    last: int | None

    def __str__(self) -> str:
        """Return it in words."""
        if self.last is None:
            return f"rows from {self.first} on"
        return f"row {self.first}" if self.first == self.last else f"rows {self.first} to {self.last}"


def readable_rows(connection: sqlite3.Connection, table: str) -> Iterator[Row | Gap]:
    """Yield the rows that can be read as {column: value}, in the order of their row ids, and the gaps between them.

    SQLite fails for each row on a damaged page, so the search continues after it id by id. Each row includes its id as
    `rowid`.

    Args:
        connection: A copy of the damaged database.
        table: The table's name.
    """
    start = 0
    while True:
        try:
            for row in _from(connection, table, start):
                yield row
                start = row["rowid"] + 1
            return
        except sqlite3.Error:
            behind = _next_readable(connection, table, start)
        if behind is None:
            yield Gap(start, None)
            return
        yield Gap(start, behind["rowid"] - 1)
        start = behind["rowid"]


def _next_readable(connection: sqlite3.Connection, table: str, start: int) -> Row | None:
    """Return the first row behind the damage, None when there is none."""
    for rowid in range(start + 1, start + _GIVE_UP_AFTER):
        try:
            return next(_from(connection, table, rowid), None)
        except sqlite3.Error:
            continue
    return None


def _from(connection: sqlite3.Connection, table: str, rowid: int) -> Iterator[Row]:
    cursor = connection.execute(f"SELECT rowid AS rowid, * FROM {table} WHERE rowid >= ? ORDER BY rowid", (rowid,))
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, values, strict=True)) for values in cursor)
