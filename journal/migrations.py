"""Migrations from any older schema to the latest, by ordered steps that are recorded in the file itself.

A step is a file `schema/NNNN_name.sql` that is never changed after its release. A new journal takes the same steps, so
that old and new files end with the same schema. Views and triggers hold no data: they are dropped and created again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from journal.clock import now_text
from journal.errors import from_sqlite
from journal.schema.tables import VIEWS
from journal.sessions import identity
from journal.storage.connections import CountedConnection
from journal.storage.database import APPLICATION_ID, check_version, foreign


@dataclass(frozen=True)
class Step:
    """One migration: the schema version that it leads to, its name, and its SQL."""

    version: int
    name: str
    sql: str


def steps() -> list[Step]:
    """Return all steps, in order."""
    files = (file for file in resources.files("journal").joinpath("schema").iterdir() if file.name.endswith(".sql"))
    found = [
        Step(int(file.name[:4]), file.name[5:-4], file.read_text("utf-8"))
        for file in sorted(files, key=lambda file: file.name)
    ]
    assert [step.version for step in found] == list(range(1, len(found) + 1)), "migrations must be numbered from 1"
    return found


NEWEST_VERSION = 8


def migrate(connection: CountedConnection, database: Path) -> bool:
    """Bring the file to the newest schema in one transaction.

    Args:
        connection: An open connection in autocommit mode.
        database: The file, for messages.

    Returns:
        Whether anything was changed.

    Raises:
        NewerJournal: The file's schema is newer than this version.
        JournalError: The file holds somebody else's tables, or cannot be written.
    """
    try:
        if _is_ours(connection) and _version(connection) == NEWEST_VERSION:
            return False
        connection.begin()
        try:
            changed = _apply(connection, database)
            connection.commit()
            connection.flush()
        except BaseException:
            connection.rollback()  # SQLite itself has done so when the disk failed
            raise
        return changed
    except (OSError, sqlite3.Error) as error:  # OSError: the files of the steps, when no more files can be opened
        raise from_sqlite(error, database) from error


def _apply(connection: sqlite3.Connection, database: Path) -> bool:
    version = _version(connection)  # again, now that no other process can be migrating
    if not _is_ours(connection) and (version or _has_tables(connection)):
        raise foreign(database)
    check_version(version, NEWEST_VERSION, database)
    if version == NEWEST_VERSION:
        return False
    for step in steps()[version:]:
        for statement in _statements(step.sql):
            connection.execute(statement)
        connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.version, step.name, now_text()))
    identity.assign(connection)
    _recreate_views(connection)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={NEWEST_VERSION}")
    return True


def _recreate_views(connection: sqlite3.Connection) -> None:
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
        connection.execute(f'DROP VIEW "{name}"')
    for name, select in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {select}")


def _is_ours(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(sql: str) -> Iterator[str]:
    """Split a script into statements (`executescript` would commit the transaction around them)."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
