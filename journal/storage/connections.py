"""Connections that keep what they need of the journal's files, whatever else happens to these.

From its opening to its close a connection shares the locks that its process holds on the log (`log_locks.py`). In each
write transaction it holds the write lock (`write_lock.py`). Before it writes it checks that the log is still the one
that it was opened with: what goes into a removed one is seen by nobody else.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from journal.errors import from_os, from_sqlite
from journal.storage import log_locks, write_lock
from journal.storage.descriptors import LOCK, File, file_of
from journal.storage.inodes import Look, looking_at
from journal.storage.log_flush import flush
from journal.storage.log_locks import LogLocks
from journal.storage.write_lock import WriteLock


class LogRemoved(sqlite3.OperationalError):
    """The log was removed, replaced or emptied under a connection.

    Attributes:
        fate: What became of what it held: `saved` into the database, `hidden` from all but this connection, or `lost`.
    """

    def __init__(self, database: Path, fate: Literal["saved", "hidden", "lost"]) -> None:
        """Name the log and its fate."""
        did = "emptied" if fate == "lost" else "removed or replaced"
        super().__init__(f"the log {database.name}-wal was {did} while it was in use; {_FATES[fate]}")
        self.fate = fate


class Overwritten(sqlite3.DatabaseError):
    """The database was overwritten by an older copy, so that its log is another one's."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("it was overwritten by an older copy of itself, on which its log does not build")


_FATES = {
    "saved": "what it held was saved",
    "hidden": "what it held is out of reach for others",
    "lost": "what it held and was not folded back is lost",
}


class CountedConnection(sqlite3.Connection):
    """A connection that is counted as open until it is closed; one that is never closed is counted to the end.

    Attributes:
        database: The file, by name.
        file: Device and inode of it, until the connection is closed.
        is_for_fork: Set before it is closed for a fork only: the locks stay.
    """

    database: Path
    file: File | None = None
    is_for_fork = False
    _write_lock: WriteLock
    _log_locks: LogLocks | None = None
    _log: str = ""
    _look: Look | None = None
    _log_inode: int | None = None
    _place: str = ""
    _changed_at: int = 0
    _log_descriptor: int | None = None
    _flush_error: OSError | None = None

    def begin(self, seconds: float | None = None) -> None:
        """Begin a write transaction; `commit` or `rollback` ends it.

        Args:
            seconds: How long to wait for other processes of this software; None for the usual time.

        Raises:
            LogRemoved: Nothing was begun.
            sqlite3.Error: Another process kept the lock for too long, or the file cannot be used.
        """
        if self._flush_error is not None:
            raise sqlite3.OperationalError(f"its log could not be flushed: {self._flush_error.strerror}")
        self._write_lock.acquire(seconds)
        try:
            self.require_log()
            self.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._write_lock.release()
            raise

    def commit(self) -> None:
        """Commit; where that fails, the transaction is still to be rolled back."""
        super().commit()
        if self._write_lock.depth:  # not after reading
            self._write_lock.release()

    def rollback(self) -> None:
        """Roll back; without a transaction it does nothing."""
        try:
            super().rollback()
        finally:
            self._write_lock.release()

    def write(self, statement: str, row: Sequence[Any]) -> int:
        """Execute one statement in a transaction of its own, or in the open one; return the id of the row it made.

        Raises:
            LogRemoved: Nothing was written.
            sqlite3.Error: It was not written.
        """
        self._look = look = self._look or looking_at(self._log)
        self._write_lock.acquire()
        try:
            try:  # as `require_log`, for what is usual
                inode, length = look()
                is_usual = inode == self._log_inode and length > 0
                is_usual = is_usual and os.stat(self._place).st_mtime_ns == self._changed_at  # noqa: PTH116
            except OSError:
                is_usual = False
            if not is_usual:
                self.require_log()
            # In autocommit mode one INSERT is one transaction that takes the write lock at once.
            return self.execute(statement, row).lastrowid or 0
        finally:
            self._write_lock.release()

    @contextmanager
    def exclusively(self, seconds: float) -> Iterator[None]:
        """Keep other processes of this software from writing, outside of a transaction.

        Args:
            seconds: How long to wait for them.

        Raises:
            LogRemoved: The log is no longer the one that the connection was opened with.
            sqlite3.OperationalError: They went on for longer.
        """
        self._write_lock.acquire(seconds)
        try:
            self.require_log()
            yield
        finally:
            self._write_lock.release()

    def flush(self) -> None:
        """Flush what was committed, without the write lock, where `keep_log` said that this does it.

        Raises:
            OSError: It could not be flushed. Nothing more is written by this connection: what is appended behind would
                be lost in a power cut, too.
        """
        if self._log_descriptor is None:
            return
        try:
            flush(self._log_descriptor)
        except OSError as error:
            self._flush_error = error
            raise

    def close(self) -> None:
        """Close it; doing so again does nothing."""
        if self._log_descriptor is not None:
            os.close(self._log_descriptor)
            self._log_descriptor = None
        with LOCK:
            if self._log_locks is None:
                super().close()
                return
            locks, self._log_locks, self.file = self._log_locks, None, None
            try:
                if locks.connections > 1 or self.is_for_fork:
                    super().close()
                else:
                    self._close_last(locks)
            finally:
                self._write_lock.close()
                log_locks.release(locks, is_for_fork=self.is_for_fork)

    def _close_last(self, locks: LogLocks) -> None:
        """Let SQLite fold the log and delete it, if no other process has it either."""
        try:
            self._write_lock.acquire(0)  # so that nobody opens, writes and vanishes between the two
        except sqlite3.OperationalError:  # somebody else is there
            super().close()
            return
        if not self.has_lost_its_file and not locks.is_overwritten(self.database):
            locks.unlock()
            if sys.version_info >= (3, 12):  # before, it cannot be switched off
                self.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
        super().close()

    @property
    def flushes(self) -> bool:
        """Whether commits are flushed by `flush`, and not by SQLite."""
        return self._log_descriptor is not None

    def keep_log(self, mode: str, durability: str) -> bool:
        """With WAL as the journal mode, lock the log, and remember which file it is.

        Args:
            mode: The journal mode.
            durability: Of its commits.

        Returns:
            Whether to leave the flush of each commit to `flush`. SQLite's own holds the write lock meanwhile, so that
            on a busy disk everybody else waits as long.
        """
        if mode == "wal" and self._log_locks is not None:
            self._log_locks.lock(self.database)
            with suppress(OSError):
                self._log_inode = os.stat(self._log).st_ino  # noqa: PTH116
                if durability == "full":
                    self._log_descriptor = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        return self.flushes

    @property
    def has_lost_its_file(self) -> bool:
        """Whether the log is not the one that the connection was opened with, though the database is in its place."""
        return not self._has_its_log() and not is_unlinked(self.database, self.file)

    def begin_log(self) -> None:
        """Write a page into a new log that tells which database it is begun on; see `log_base`.

        SQLite flushes the beginning of a new log at once. Whoever folds a log does this, so that no event has to.
        """
        with suppress(sqlite3.OperationalError):  # who writes next is told
            version = self.execute("PRAGMA user_version").fetchone()[0]
            self.execute(f"PRAGMA user_version={version}")

    def log_bytes(self) -> int:
        """Return the log's length, 0 where there is none."""
        try:
            return os.stat(self._log).st_size  # noqa: PTH116
        except OSError:
            return 0

    def _has_its_log(self) -> bool:
        """Return whether the log is in its place, as far as that can be told, or there is none."""
        if self._log_inode is None:
            return True
        try:
            return os.stat(self._log).st_ino == self._log_inode  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def begin_reading(self) -> None:
        """Begin a transaction that writes nothing; it shows what a removed log held."""
        self.execute("BEGIN")

    def require_log(self) -> None:
        """Check that the log is the one that the connection was opened with.

        One that was removed is there as long as this connection is: its content is folded into the database, unless
        another log has its place already.

        Raises:
            LogRemoved: It is not.
            Overwritten: The database is not.
        """
        if self.in_transaction or self._log_inode is None:
            return
        self._require_base()
        if self.has_lost_its_file:
            is_saved = not self.log_bytes() and self._fold_all()
            raise LogRemoved(self.database, "saved" if is_saved else "hidden")
        if self._has_its_log() and not self.log_bytes():  # folded by another process, or emptied by hand
            self._require_content()
            self.begin_log()

    def _require_base(self) -> None:
        """Check that the database is the one on which the log builds, where it was changed: folded, or overwritten."""
        with suppress(OSError):
            base = os.stat(self._place)  # noqa: PTH116
            if base.st_mtime_ns == self._changed_at or (base.st_dev, base.st_ino) != self.file:
                return  # as it was, or another file, which is another matter
            if self._log_locks is not None and self._log_locks.is_overwritten(self.database):
                raise Overwritten
            self._changed_at = base.st_mtime_ns

    def _require_content(self) -> None:
        """Check that the index of an empty log names nothing that would have to be in it."""
        try:
            self._fold_all()
        except sqlite3.OperationalError as error:
            raise LogRemoved(self.database, "lost") from error

    def _fold_all(self) -> bool:
        """Copy all of the log into the database, with everybody kept from writing; return False where readers are."""
        _, frames, folded = self.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return bool(frames == folded)


@contextmanager
def transaction(
    connection: Connection, database: Path, *, read_only: bool = False, durable: bool = False, concurrent: bool = False
) -> Iterator[Connection]:
    """Begin a transaction, and commit and flush it at the end of the block.

    Args:
        connection: SQLAlchemy's.
        database: The file, for messages.
        read_only: Whether nothing is written in it.
        durable: Of no effect: it is as the connection was made.
        concurrent: Of no effect: there is one writer at a time.

    Raises:
        JournalError: It failed. Nothing was written, unless it was the flush that failed.
    """
    del durable, concurrent
    connection = connection.execution_options(read_only=read_only)
    try:
        with connection.begin():
            yield connection
    except (DBAPIError, sqlite3.Error) as error:
        raise from_sqlite(error, database) from error
    if not read_only:
        _flush(connection, database)


def begin(connection: Connection) -> None:
    """Begin a transaction as its option `read_only` says; SQLAlchemy calls it."""
    driver = _driver(connection)
    if connection.get_execution_options().get("read_only", False):
        driver.begin_reading()
    else:
        driver.begin()


def _driver(connection: Connection) -> CountedConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, CountedConnection)
    return driver


def _flush(connection: Connection, database: Path) -> None:
    try:
        _driver(connection).flush()
    except OSError as error:
        raise from_os(error, database) from error


def connect(database: Path, *, timeout: float, **options: Any) -> CountedConnection:
    """Connect to a file that exists.

    Args:
        database: The file.
        timeout: Seconds that a write waits for others.
        options: Further ones of `sqlite3.connect`.

    Raises:
        OSError: It is not there.
        Overwritten: It is not the one on which its log builds.
        sqlite3.Error: It cannot be opened.
    """
    with LOCK:  # nothing is locked before the first statement
        locks = log_locks.acquire(database)
        try:
            if locks.is_overwritten(database):
                raise Overwritten
            uri = f"{database.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(uri, uri=True, factory=CountedConnection, timeout=timeout, **options)
        except BaseException:
            log_locks.release(locks)
            raise
        connection.database, connection.file, connection._log_locks = database, locks.file, locks
        connection._write_lock = WriteLock(database.parent, timeout)
        connection._place = str(database.absolute())
        connection._log = f"{connection._place}-wal"
        return connection


def is_unlinked(database: Path, file: File | None) -> bool:
    """Return whether the database was removed or replaced: what is written then goes into a file without a name.

    Args:
        database: Where it was opened.
        file: Device and inode that it was opened as.
    """
    try:
        return file_of(database) != file
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # nothing can be told now
        return False


def forget() -> None:
    """Let go of what a forked child has inherited: the locks are its parent's."""
    write_lock.forget()
    log_locks.forget()
