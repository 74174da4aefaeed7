"""A writer's connection: opened on first use, closed while the process forks, and opened again when needed."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, ResourceClosedError

from journal.errors import from_os, from_sqlite
from journal.schema import tables
from journal.storage import fork_safety
from journal.storage.connections import CountedConnection, LogRemoved
from journal.storage.database import Durability, committing
from journal.storage.flusher import Flusher, Written
from journal.storage.folding import fold_wal
from journal.storage.log_flush import log_of
from journal.storage.log_room import lengthen, locked


class WriterConnection:
    """One writer's connection to the database, which may be closed at any time and is opened again on use.

    Attributes:
        lock: Held by whoever uses the connection, and while this process forks.
        newest: Id of the last event that was written through it.
        current: The driver's connection while there is one; see `driver`.
    """

    def __init__(self, engine: Engine, database: Path, on_close: Callable[[], object]) -> None:
        """Connect on first use.

        Args:
            engine: The journal's.
            database: Its file.
            on_close: Called on each close, with the lock held: the next connection may be to another file.
        """
        self.lock = threading.RLock()  # a signal handler may append while the thread under it does
        self.newest = 0
        self._engine = engine
        self._database = database
        self._on_close = on_close
        self._connection: Connection | None = None
        self.current: CountedConnection | None = None
        self._flusher: Flusher | None = None
        self._is_distrusted = False
        fork_safety.register(self)

    @property
    def file(self) -> tuple[int, int] | None:
        """Device and inode of the database file that is open; None while there is no connection."""
        return self.current.file if self.current is not None else None

    @property
    def has_lost_its_file(self) -> bool:
        """Whether the log was removed under the connection, so that only this connection can still read it."""
        return self.current is not None and self.current.has_lost_its_file

    def driver(self) -> CountedConnection:
        """Return the driver's connection, opening one when there is none."""
        if self.current is None:
            connection = self._engine.connect()
            driver = connection.connection.driver_connection
            assert isinstance(driver, CountedConnection)
            try:
                self._save_log(driver)
                self._flusher = _flusher(driver, self._database)
            except BaseException:
                connection.close()
                raise
            self._connection, self.current = connection, driver
        return self.current

    def durability(self, wanted: Durability | None) -> Durability | None:
        """Return how SQLite has to commit for this durability, if not as usual; a flusher flushes what it does not."""
        return wanted if wanted == "strict" or self._flusher is None else None

    @property
    def flushes(self) -> bool:
        """Whether commits are flushed by a flusher, which can be waited for, and not by SQLite."""
        return self._flusher is not None

    def note(self) -> Written | None:
        """Number what has just been committed, for whoever waits for its flush; None where SQLite has flushed it."""
        return self._flusher.note() if self._flusher is not None else None

    def wait(self, written: Written | None, seconds: float = math.inf) -> bool:
        """Wait until a commit is durable; return whether it is. No lock of ours may be held that an event needs.

        Args:
            written: The commit; None where SQLite has flushed it.
            seconds: The longest wait.

        Raises:
            JournalUnavailable: It could not be flushed.
        """
        try:
            return written is None or written.wait(seconds)
        except OSError as error:
            self.distrust()
            raise from_os(error, self._database) from error

    def distrust(self) -> None:
        """Close the connection after a failed flush: what it left in the log may not be on the disk.

        A flush that succeeds later proves nothing (https://lwn.net/Articles/752063/), and what is appended behind would
        be lost in a power cut, too. So nothing is, before all of the log is in the database.
        """
        with self.lock:
            self._is_distrusted = True
            self.close()

    @contextmanager
    def transaction(
        self, *, read_only: bool = False, durable: bool = False, concurrent: bool = False
    ) -> Iterator[Connection]:
        """Begin a transaction, and commit it at the end of the block; a durable one has been flushed when it ends.

        There is one writer at a time, also for one that might be `concurrent`.

        Raises:
            JournalError: Nothing was written, or it was and could not be flushed.
        """
        del concurrent
        with self._durably(durable and not read_only), self.lock:
            try:
                with ExitStack() as stack:
                    yield self._begin(stack, read_only, durable)
            except (DBAPIError, ResourceClosedError, sqlite3.Error, MemoryError) as error:  # closed by a fork
                raise from_sqlite(error, self._database) from error

    def read(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of one finished statement, a transaction by itself that costs a tenth of `transaction`.

        Raises:
            JournalError: It could not be read.
        """
        with self.lock:
            try:
                return self.driver().execute(statement, values).fetchall()
            except (DBAPIError, sqlite3.Error, MemoryError) as error:
                raise from_sqlite(error, self._database) from error

    def reopen(self, removed: LogRemoved) -> None:
        """Close a connection whose log was removed, so that the next use opens a new one.

        Raises:
            LogRemoved: This connection alone can still read what it wrote, or that is lost.
        """
        if removed.fate == "hidden" and not self._is_there(self.newest):
            raise removed
        self.close()
        if removed.fate == "lost":
            raise removed

    def make_room(self, seconds: float) -> None:
        """Extend the log ahead of the next events, for so many seconds at most; a failure only costs time later."""
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
            except (DBAPIError, ResourceClosedError, sqlite3.Error) as error:
                raise from_sqlite(error, self._database) from error

    def close_for_fork(self) -> None:
        """Close the connection while this process forks, but keep the locks on the journal's files."""
        with self.lock:
            if self.current is not None:
                self.current.is_for_fork = True
            self.close()

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
            if self._flusher is not None:
                self._flusher.close()
            self._connection = self.current = self._flusher = None
            self._on_close()

    def _begin(self, stack: ExitStack, read_only: bool, durable: bool) -> Connection:
        """Begin a transaction that ends with the stack."""
        driver = self.driver()
        assert self._connection is not None
        connection = self._connection.execution_options(read_only=read_only)
        try:
            how = self.durability("full") if durable else None
            stack.enter_context(committing(driver, how) if how else nullcontext())
            stack.enter_context(connection.begin())
            return connection
        except LogRemoved as error:
            stack.close()
            self.reopen(error)
            return self._begin(stack, read_only, durable)

    @contextmanager
    def _durably(self, durable: bool) -> Iterator[None]:
        """Wait at the end of the block, when the lock is free again, until what was committed in it is flushed."""
        yield
        if durable:
            with self.lock:
                written = self.note()
            self.wait(written)

    def _save_log(self, driver: CountedConnection) -> None:
        """Copy all of a log that could not be flushed into the database."""
        if self._is_distrusted and not fold_wal(driver):
            raise sqlite3.OperationalError("its log could not be flushed, nor copied into it yet")
        self._is_distrusted = False

    def _is_there(self, event_id: int) -> bool:
        """Return whether other connections see an event, as they do when another process has saved the log."""
        with self._engine.connect() as other:
            found = other.execute(select(tables.events.c.id).where(tables.events.c.id == event_id)).first()
        return found is not None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.lock, locked(self.driver()):
            yield


def _flusher(driver: CountedConnection, database: Path) -> Flusher | None:
    """Return what flushes the log in place of SQLite; None where that is not wanted, or cannot be done."""
    if not driver.flushes:
        return None
    try:
        return Flusher(log_of(database))
    except OSError:
        driver.execute("PRAGMA synchronous=FULL")
        return None
