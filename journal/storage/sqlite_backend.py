"""A journal's rows in a file of SQLite: see `backend.Backend`."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine

from journal.clock import utc_now
from journal.errors import JournalUnwritable, from_os, from_sqlite
from journal.storage import connections
from journal.storage.backend import Begin
from journal.storage.connections import CountedConnection, is_unlinked
from journal.storage.file_changes import FileChanges
from journal.storage.folding import fold_wal
from journal.storage.log_flush import flush_log, log_of


class SqliteBackend:
    """A file of SQLite.

    Attributes:
        engine: From `journal.storage.database.make_engine`.
        folder: The journal's.
        database: `journal.db` in it.
        address: The folder.
        is_shared: False: one machine writes to it, and one drain sends what it holds.
    """

    is_shared = False

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Use an engine; nothing is opened."""
        self.engine = engine
        self.folder = folder
        self.database = folder / "journal.db"
        self.address = str(folder)

    def connect(self) -> Connection:
        """Return a connection."""
        return self.engine.connect()

    def begins_on(self, connection: Connection) -> Begin:
        """Return what begins transactions on a connection; there is one writer at a time in any case."""
        return partial(connections.transaction, connection, self.database)

    def now(self, connection: Connection) -> datetime:
        """Return this machine's time."""
        del connection
        return utc_now()

    def changes(self) -> FileChanges:
        """Return what compares the times of the files."""
        return FileChanges(self.database)

    def require_in_place(self, connection: Connection) -> None:
        """Check that the database is where it was opened.

        Raises:
            JournalUnwritable: It was removed or replaced; what is written goes into a file without a name.
        """
        driver = _driver(connection)
        if driver.has_lost_its_file or is_unlinked(self.database, driver.file):
            raise JournalUnwritable(
                f"{self.database}, or its log, was removed or replaced while it was in use; a training that still "
                "writes makes it anew with its run. Run the command again for what is there now"
            )

    def fold(self, connection: Connection) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        try:
            return fold_wal(_driver(connection))
        except sqlite3.Error as error:
            raise from_sqlite(error, self.database) from error

    def flush(self) -> None:
        """Flush what was committed so far, also by other processes; what leaves the machine has to be flushed first."""
        try:
            flush_log(self.database)
        except OSError as error:
            raise from_os(error, self.database) from error

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return log_of(self.database).stat().st_size
        except OSError:
            return 0

    def database_bytes(self, connection: Connection) -> int:
        """Return the size of the pages in use."""
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names)
        return (pages - free) * size

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def _driver(connection: Connection) -> CountedConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, CountedConnection)
    return driver
