"""The rows of a journal in a file, in a shared one: what is read of both must be the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from support.postgres_server import shared_journal

from journal.opening import open_shared
from journal.schema import tables

_COPIED = [table.name for table in tables.TABLES if table.name not in {"schema_migrations", "facts"}]


def shared_twin(folder: Path, url: str | None = None) -> str:
    """Return the URL of a shared journal with the rows of one in a file, as they are now.

    Args:
        folder: The one in a file.
        url: The shared one, which loses what it has; a new one by default.
    """
    url = url or shared_journal()
    with (
        open_shared(url) as shared,
        closing(sqlite3.connect(folder / "journal.db")) as source,
        shared.begin() as connection,
    ):
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # whatever refers to whatever
        for name in reversed(_COPIED):
            connection.exec_driver_sql(f"DELETE FROM {name}")
        for name in _COPIED:
            found = source.execute(f"SELECT {'rowid, ' if name == 'runs' else ''}* FROM {name}")
            columns = [column[0] for column in found.description]
            if rows := found.fetchall():
                places = ", ".join(["%s"] * len(columns))
                insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})"
                connection.exec_driver_sql(insert, rows)
            if "id" in columns and name not in {"runs", "events"}:
                sequence = f"pg_get_serial_sequence('{name}', 'id')"
                connection.exec_driver_sql(f"SELECT setval({sequence}, 1 + coalesce(max(id), 0)) FROM {name}")
        connection.exec_driver_sql("SELECT setval('event_ids', 1 + coalesce((SELECT max(id) FROM events), 0))")
    return url
