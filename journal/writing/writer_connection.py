"""A writer's one connection: opened when needed, closed while the process forks, opened again where it must be."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from journal.errors import from_sqlite
from journal.schema import tables
from journal.storage import fork_safety
from journal.storage.connections import CountedConnection, LogRemoved
from journal.storage.database import committing
from journal.storage.folding import fold_wal
from journal.storage.log_room import lengthen, locked


class Line:
    """The connection, and what to do when there is none.

    Attributes:
        lock: Held by whoever uses the connection, and while this process forks.
        newest: Id of the last event that was written by it.
    """

    def __init__(self, engine: Engine, database: Path, on_close: Callable[[], object]) -> None:
        """Open nothing yet.

        Args:
            engine: The journal's.
            database: Its file.
            on_close: Called with the lock held: the next connection may be to another file.
        """
        self.lock = threading.RLock()  # a signal handler may append while the thread under it does
        self.newest = 0
        self._engine = engine
        self._database = database
        self._on_close = on_close
        self._connection: Connection | None = None
        self._driver: CountedConnection | None = None
        fork_safety.keep_out(self)

    @property
    def file(self) -> tuple[int, int] | None:
        """Device and inode of the database that a connection is open to; None while none is."""
        return self._driver.file if self._driver is not None else None

    @property
    def is_cut_off(self) -> bool:
        """Whether the log was removed under the connection, and what it held is in it alone."""
        return self._driver is not None and self._driver.is_cut_off

    def driver(self) -> CountedConnection:
        """Return the driver's connection, opened when there is none."""
        if self._driver is None:
            self._connection = self._engine.connect()
            driver = self._connection.connection.driver_connection
            assert isinstance(driver, CountedConnection)
            self._driver = driver
        return self._driver

    @contextmanager
    def transaction(self, *, read_only: bool = False, durable: bool = False) -> Iterator[Connection]:
        """Begin a transaction, and commit it at the end of the block.

        Raises:
            JournalError: It was not written.
        """
        with self.lock:
            try:
                with ExitStack() as stack:
                    yield self._begin(stack, read_only, durable)
            except (DBAPIError, sqlite3.Error, MemoryError) as error:
                raise from_sqlite(error, self._database) from error

    def reopen(self, removed: LogRemoved) -> None:
        """Let go of a connection whose log was removed, unless it is the only way to what it wrote.

        Raises:
            LogRemoved: It is, or that is lost.
        """
        if removed.fate == "hidden" and not self._is_there(self.newest):
            raise removed
        self.close()
        if removed.fate == "lost":
            raise removed

    def make_room(self, seconds: float) -> None:
        """Make room in the log for so many seconds at most: it only saves time."""
        with suppress(DBAPIError):
            lengthen(self._locked, self._database, seconds=seconds)

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way.

        Raises:
            JournalError: It failed.
        """
        with self.lock:
            try:
                return fold_wal(self.driver())
            except (DBAPIError, sqlite3.Error) as error:
                raise from_sqlite(error, self._database) from error

    def rest(self) -> None:
        """Close the connection while this process forks; what it keeps of the journal's files is kept."""
        with self.lock:
            if self._driver is not None:
                self._driver.rests = True
            self.close()

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._driver = None
            self._on_close()

    def _begin(self, stack: ExitStack, read_only: bool, durable: bool) -> Connection:
        """Begin a transaction that ends with the stack."""
        driver = self.driver()
        assert self._connection is not None
        connection = self._connection.execution_options(read_only=read_only)
        try:
            stack.enter_context(committing(driver, "full") if durable else nullcontext())
            stack.enter_context(connection.begin())
            return connection
        except LogRemoved as error:
            stack.close()
            self.reopen(error)
            return self._begin(stack, read_only, durable)

    def _is_there(self, event_id: int) -> bool:
        """Return whether others see an event: another process has saved the log then."""
        with self._engine.connect() as other:
            found = other.execute(select(tables.events.c.id).where(tables.events.c.id == event_id)).first()
        return found is not None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.lock, locked(self.driver()):
            yield
