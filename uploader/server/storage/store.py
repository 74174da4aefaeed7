"""The local platform's state in one SQLite file. The tables are in `store_schema`, the queries in `statements`.

One connection writes, under a lock, in short transactions; every reader opens its own. So a slow page never delays a
training, and no connection checkpoints the WAL while another commits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from uploader.server.storage import store_schema
from uploader.server.storage.change_log import ChangeLog
from uploader.server.storage.statements import Rows


class StoreVersionError(Exception):
    """The file was written by a newer version of this program; it is left untouched."""


class Store:
    """Opens the file, and owns its writing connection.

    Args:
        path: The SQLite file; created with its tables if it does not exist.

    Attributes:
        changes: What has changed since.

    Raises:
        StoreVersionError: The file was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.changes = ChangeLog()
        path.touch(mode=0o600)
        # check_same_thread guards against sharing without a lock; here a lock protects the connection.
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._writer.close()
            raise

    def _prepare(self) -> None:
        found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if found > store_schema.VERSION:
            raise StoreVersionError(
                f"{self._path} has layout {found}, this program knows {store_schema.VERSION}: upgrade the program"
            )
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000"):
            self._writer.execute(f"PRAGMA {pragma}")
        for version, step in enumerate(store_schema.STEPS[found:], found + 1):
            self._writer.executescript(f"BEGIN; {step} PRAGMA user_version={version}; COMMIT;")
        self.changes.watch(self._writer)

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Rows]:
        """Yield the tables inside one transaction, which is rolled back if the block raises.

        Args:
            durable: Whether the commit, and with it every earlier one, must survive a power cut. Other commits survive
                only the end of the process, and are several times faster.
        """
        with self._lock:
            self._writer.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            self.changes.begin()
            try:
                yield Rows(self._writer)
                with self.changes.committing():
                    self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # when the disk is full, SQLite has already rolled back
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[Rows]:
        """Yield a consistent snapshot of the tables, which later writes do not change."""
        with self._reader() as connection:
            connection.execute("BEGIN")
            yield Rows(connection)

    @contextmanager
    def look(self) -> Iterator[tuple[Rows, int]]:
        """Yield such a snapshot with the number, in `changes`, of the newest commit that it contains."""
        with self._reader() as connection:
            with self.changes.held() as number:
                connection.execute("BEGIN")
                connection.execute("SELECT 1 FROM models LIMIT 1").fetchone()  # takes the snapshot
            yield Rows(connection), number

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only=ON")
            yield connection

    def close(self) -> None:
        """Close the writing connection; SQLite folds the WAL back into the file."""
        with self._lock:
            self._writer.close()
