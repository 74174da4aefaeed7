"""The tables of a shared journal: made, and brought to the newest version, by steps that are recorded in the database.

A step is a file `NNNN_name.sql` beside this module that is never changed after its release.
"""

from __future__ import annotations

import uuid
from importlib import resources

from sqlalchemy import Connection, text

from journal.clock import now_text
from journal.errors import JournalError, JournalUnwritable, NewerJournal, NoJournal
from journal.postgres import advisory_locks as locks
from journal.postgres.postgres_backend import SCHEMA, PostgresBackend
from journal.schema.tables import VIEWS
from journal.sessions.identity import JOURNAL
from journal.sessions.origin import ELSEWHERE, PLACE

NEWEST_VERSION = 2

# Not by `to_regclass`: what that remembers is not renewed by the wait for an advisory lock.
_IS_THERE = text(
    "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = 'schema_migrations')"
).bindparams(schema=SCHEMA)
# By its schema: one that this user may not look into is otherwise none at all.
_VERSION = text(f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.schema_migrations")  # noqa: S608 - a constant
_HAS_OTHERS = text("SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = :schema)").bindparams(schema=SCHEMA)
_MAY_MAKE = text(
    """
    SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = :schema)
                THEN has_schema_privilege(CAST(:schema AS TEXT), 'CREATE')
                ELSE has_database_privilege(current_database(), 'CREATE') END
    """
).bindparams(schema=SCHEMA)
_RECORD = text("INSERT INTO schema_migrations VALUES (:version, :name, :at)")
_FACT = text("INSERT INTO facts VALUES (:name, :value) ON CONFLICT DO NOTHING")
_UUID = text("SELECT value FROM facts WHERE name = :name").bindparams(name=JOURNAL)


def prepare(backend: PostgresBackend) -> str | None:
    """Bring the tables to the newest version; return the journal's uuid.

    Raises:
        NewerJournal: A later version has made them. They are not touched.
        JournalError: The server is away, or refuses.
    """
    with backend.connect() as connection:
        begin = backend.begins_on(connection)
        with begin(read_only=True):
            version = _version(connection)
            if version == NEWEST_VERSION:
                return _uuid(connection)
            _check(version, backend.address)
            if not version:
                _require_room(connection, backend.address)
        with begin():
            _migrate(connection, backend.address)
            return _uuid(connection)


def require(backend: PostgresBackend) -> str | None:
    """Check that the tables are there, and are those that this version knows; return the journal's uuid. It only reads.

    Raises:
        NoJournal: There are none.
        NewerJournal: A later version has made them.
        JournalError: An earlier version has, or the server is away, or refuses.
    """
    with backend.connect() as connection, backend.begins_on(connection)(read_only=True):
        version = _version(connection)
        _check(version, backend.address)
        if not version:
            _require_no_others(connection, backend.address)
            raise NoJournal(
                f"there is no journal in {backend.address} yet; `collect --into` or a drain makes its tables"
            )
        if version < NEWEST_VERSION:
            raise JournalError(
                f"{backend.address} has schema version {version}, this version reads {NEWEST_VERSION}; `collect` or a "
                "drain of this version brings it there"
            )
        return _uuid(connection)


def _require_room(connection: Connection, address: str) -> None:
    """Check that the tables can be made by this user, where there are none."""
    _require_no_others(connection, address)
    if not connection.execute(_MAY_MAKE).scalar_one():
        raise JournalUnwritable(
            f"there is no journal in {address} yet, and this user may not make its tables; let the owner of the "
            "database make them, by a first `collect --into` or drain, and then grant the rights that "
            "docs/scale-out.md names"
        )


def _require_no_others(connection: Connection, address: str) -> None:
    """Check that somebody else has no tables where ours would be."""
    if connection.execute(_HAS_OTHERS).scalar_one():
        raise JournalUnwritable(
            f"{address} has a schema {SCHEMA} that is no journal's, which is left as it is; name another database, or "
            "rename that schema"
        )


def _migrate(connection: Connection, address: str) -> None:
    connection.execute(locks.MIGRATION)
    version = _version(connection)  # again, now that nobody else changes it
    _check(version, address)
    if not version and not connection.execute(_IS_THERE).scalar_one():
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for name in VIEWS:  # before the steps, which may change what views stand on
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    for number, name, statements in _steps()[version:]:
        connection.exec_driver_sql(statements)
        connection.execute(_RECORD, {"version": number, "name": name, "at": now_text()})
    for name, select in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select.replace('%', '%%')}")
    # What came in from elsewhere may be trained on a machine of which nothing is heard for long.
    connection.execute(_FACT, [{"name": JOURNAL, "value": str(uuid.uuid4())}, {"name": PLACE, "value": ELSEWHERE}])


def _version(connection: Connection) -> int:
    return int(connection.execute(_VERSION).scalar_one()) if connection.execute(_IS_THERE).scalar_one() else 0


def _uuid(connection: Connection) -> str | None:
    found: str | None = connection.execute(_UUID).scalar()
    return found


def _check(version: int, address: str) -> None:
    if version > NEWEST_VERSION:
        raise NewerJournal(
            f"{address} has schema version {version}, this version knows up to {NEWEST_VERSION}. "
            "It was left as it is; upgrade offline-uploader to use it"
        )


def _steps() -> list[tuple[int, str, str]]:
    files = (file for file in resources.files("journal.postgres").iterdir() if file.name.endswith(".sql"))
    found = sorted((int(file.name[:4]), file.name[5:-4], file.read_text("utf-8")) for file in files)
    assert [number for number, _, _ in found] == list(range(1, NEWEST_VERSION + 1)), "steps must be numbered from 1"
    return found
