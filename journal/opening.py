"""Opening a journal: making its folder, checking the file, and bringing it to the newest schema."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Engine

from journal import locations, shared_addresses
from journal.errors import JournalUnwritable, NoJournal, from_os, from_sqlite
from journal.folder import Journal
from journal.migrations import NEWEST_VERSION, migrate
from journal.retention import full_disk
from journal.sessions.identity import journal_uuid
from journal.storage import database_file
from journal.storage.connections import CountedConnection
from journal.storage.database import (
    BUSY_SECONDS,
    Durability,
    check_header,
    check_sqlite,
    leave_log_on_a_network,
    make_engine,
    make_folder,
)
from journal.storage.folding import fold_wal
from journal.storage.sqlite_backend import SqliteBackend


def open_with_room(path: str | Path | None = None) -> Journal:
    """Open a journal as `open_journal` does; on a full disk, delete delivered checkpoints first."""
    folder = locations.expanded(path) if path is not None else locations.default_journal()
    if url := shared_addresses.shared_url(folder):
        return open_shared(url)
    freed = full_disk.make_room(folder) if os.path.exists(folder / "journal.db") else set()  # noqa: PTH110 - it raises for no path
    journal = open_journal(folder)
    if freed:
        journal.mark_removed(freed)
    return journal


def open_journal(
    path: str | Path | None = None, *, durability: Durability = "full", busy_seconds: float = BUSY_SECONDS
) -> Journal:
    """Open a journal folder; make it when it is not there, and bring an older one to the newest schema.

    Args:
        path: The folder, or the URL of a shared journal; by default `UPLOADER_JOURNAL`, else a folder of this user's
            application data.
        durability: `full`: what was written survives a power cut. `process`: it survives a killed process, and
            writing costs less.
        busy_seconds: How long a write waits for another process before `JournalBusy`.

    Raises:
        JournalUnwritable: The folder cannot be made or written.
        CorruptJournal: The file is damaged. It was not touched.
        NewerJournal: A later version wrote it. It was not touched.
    """
    # Absolute: the working folder may change as long as it is open.
    folder = locations.expanded(path) if path is not None else locations.default_journal()
    if url := shared_addresses.shared_url(folder):
        return open_shared(url)
    check_sqlite()
    make_folder(folder)
    return _opened(folder, durability, busy_seconds)


def open_shared(url: str, *, make: bool = True) -> Journal:
    """Open a journal in a PostgreSQL database; make its tables when they are not there.

    Args:
        url: Such as `postgresql://user@host/database`.
        make: Whether to make them, or bring them to the newest schema; else nothing is written.

    Raises:
        NoJournal: It has no tables, and none are to be made.
        JournalError: The URL is none, the server is away or refuses, or a later version has made the tables.
        LibraryMissing: The driver is not installed.
    """
    from journal.postgres import postgres_backend, postgres_steps
    from journal.shared_blobs.placed_blobs import PlacedBlobs  # one that is not needed by a journal in a file

    shared = postgres_backend.PostgresBackend(
        url, locations.shared_folder(_digest(shared_addresses.without_password(url)))
    )
    try:
        shared.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (shared.folder / "blobs").mkdir(mode=0o700, exist_ok=True)
        uuid = postgres_steps.prepare(shared) if make else postgres_steps.require(shared)
        return Journal(shared, uuid, PlacedBlobs(shared, uuid))
    except OSError as error:
        raise from_os(error, shared.folder) from error
    except BaseException:
        shared.close()
        raise


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_existing(folder: Path) -> Journal:
    """Open a journal folder as `open_journal` does, but make none, even if it disappears meanwhile.

    Args:
        folder: Absolute, or what stands for the URL of a shared journal.

    Raises:
        NoJournal: There is none.
        JournalError: As `open_journal`.
    """
    if url := shared_addresses.shared_url(folder):
        return open_shared(url)
    check_sqlite()
    try:
        return _opened_there(folder)
    except JournalUnwritable as error:
        if locations.is_there(folder):
            raise
        raise NoJournal(f"there is no journal in {folder}") from error


def _opened_there(folder: Path) -> Journal:
    database = folder / "journal.db"
    try:
        database_file.check_writable(database)
    except OSError as error:
        raise from_os(error, database) from error
    return _opened(folder, "full", BUSY_SECONDS)


def _opened(folder: Path, durability: Durability, busy_seconds: float) -> Journal:
    database = folder / "journal.db"
    check_header(database, NEWEST_VERSION)
    leave_log_on_a_network(database)
    engine = make_engine(database, durability, busy_seconds)
    return Journal(SqliteBackend(engine, folder), _prepare(engine, database))


def _prepare(engine: Engine, database: Path) -> str | None:
    """Bring the journal to the newest schema; return its uuid."""
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert isinstance(driver, CountedConnection)
        if migrate(driver, database):
            fold_wal(driver)  # so that the file's header carries the version, for `check_header`
        return journal_uuid(driver)
    except sqlite3.Error as error:
        raise from_sqlite(error, database) from error
    finally:
        connection.close()
