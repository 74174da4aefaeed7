"""Copying rows from a damaged database into a new one, by SQL and, where that fails, page by page."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journal.doctor.pages import leaf_rows
from journal.doctor.source import copy_database
from journal.doctor.table_reading import Gap, Row, readable_rows
from journal.quantities import count
from journal.schema import tables
from journal.sessions.identity import JOURNAL

TABLES = tuple(table.name for table in tables.TABLES if table is not tables.schema_migrations)
_TYPES: Mapping[str, type] = {"INTEGER": int, "TEXT": str}
# By its types alone a destination cannot be told from a row of `schema_migrations`. The content of a column tells, or
# that it is empty.
_EVIDENCE = {"destinations": ("base_url", "://"), "facts": ("name", JOURNAL)}
# How many columns later versions added; rows that were written before are that much shorter.
_ADDED = {"targets": 1, "sessions": 4, "events": 1, "deliveries": 1}


class Rescue:
    """Rows on their way from a damaged database into a new journal.

    Attributes:
        kept: How many rows of each table arrived.
        newest_event: The highest event id that was ever assigned, as far as the old database tells.
        lost: What could not be read, in words.
    """

    def __init__(self, new: sqlite3.Connection, scratch: Path) -> None:
        """Take the new database, in a transaction and without foreign keys, and a folder for a copy of the old one."""
        self.kept: Counter[str] = Counter()
        self.newest_event = 0
        self.lost: list[str] = []
        self._new = new
        self._scratch = scratch
        self._shapes = [_Shape.of(new, table) for table in TABLES]

    def copy_rows(self, database: Path) -> None:
        """Copy every row that SQL can read; if it cannot read all, search the pages for more."""
        copy = copy_database(database, self._scratch)
        with closing(sqlite3.connect(copy)) as old:
            try:
                self._copy_tables(old)
            except sqlite3.Error as error:
                self.lost.append(f"the schema cannot be read: {error}")
        # Closing it has folded the copy's write-ahead log.
        if self.lost:
            found = sum(self._take(rowid, values) for rowid, values in leaf_rows(copy))
            self.lost.append(f"… of which {count(found, 'row')} found page by page")

    def _copy_tables(self, old: sqlite3.Connection) -> None:
        self.newest_event = _newest_event(old)
        present = {row[0] for row in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for shape in self._shapes:
            if shape.table == "facts" and shape.table not in present:  # of an earlier version
                continue
            if shape.table not in present:
                self.lost.append(f"there is no table {shape.table}")
                continue
            for found in readable_rows(old, shape.table):
                if isinstance(found, Gap):
                    self.lost.append(f"{shape.table}: {found} cannot be read")
                elif not self._insert(shape, found):
                    self.lost.append(f"{shape.table}: row {found['rowid']} holds what it cannot hold")

    def _take(self, rowid: int, values: list[Any]) -> bool:
        """Insert a row, whose table is recognised by its types, unless it is there already."""
        for shape in self._shapes:
            row = shape.recognise(rowid, values)
            if row is not None:
                return self._insert(shape, row)
        return False

    def _insert(self, shape: _Shape, row: Row) -> bool:
        """Insert a row unless it breaks a rule of the schema, or its key is there already."""
        if not shape.admits(row):
            return False
        names, marks = ", ".join(f'"{name}"' for name in shape.columns), ", ".join("?" * len(shape.columns))
        statement = f"INSERT OR IGNORE INTO {shape.table} ({names}) VALUES ({marks})"
        arrived = self._new.execute(statement, [row.get(name) for name in shape.columns]).rowcount == 1
        self.kept[shape.table] += arrived
        return arrived


@dataclass(frozen=True)
class _Shape:
    """What rows of a table look like.

    Attributes:
        table: Its name.
        columns: (type, whether it may be NULL) of each column by name, in order.
        key: The column that stands for the row id, which is stored as NULL; None when there is none.
    """

    table: str
    columns: Mapping[str, tuple[type, bool]]
    key: str | None

    @classmethod
    def of(cls, connection: sqlite3.Connection, table: str) -> _Shape:
        columns, keys = {}, []
        for _, name, kind, not_null, _, is_key in connection.execute(f"PRAGMA table_info({table})"):
            columns[name] = (_TYPES[kind], not not_null)
            keys += [name] if is_key and kind == "INTEGER" else []
        return cls(table, columns, keys[0] if keys == ["id"] else None)

    def admits(self, row: Row) -> bool:
        """Return whether each value has its column's type, which SQLite itself does not enforce."""
        return all(
            isinstance(row.get(name), kind) or (nullable and row.get(name) is None)
            for name, (kind, nullable) in self.columns.items()
        )

    def recognise(self, rowid: int, values: list[Any]) -> Row | None:
        """Return the values by column when they can be a row of this table."""
        later = _ADDED.get(self.table, 0)
        if not len(self.columns) - later <= len(values) <= len(self.columns):
            return None
        row = dict(zip(self.columns, [*values, *[None] * later], strict=False))
        if self.key:
            row[self.key] = rowid
        column, evidence = _EVIDENCE.get(self.table, ("", ""))
        return row if self.admits(row) and (not row.get(column) or evidence in row[column]) else None


def _newest_event(old: sqlite3.Connection) -> int:
    try:
        row = old.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    except sqlite3.Error:
        return 0
    return row[0] if row and isinstance(row[0], int) else 0
