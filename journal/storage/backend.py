"""What holds a journal's rows: a file of SQLite (`sqlite_backend.py`), or a PostgreSQL database (`journal.postgres`).

All else of the package says what is to be read and written, in statements that both understand.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine


class Begin(Protocol):
    """Begins a transaction, and commits it durably at the end of the block."""

    def __call__(
        self, *, read_only: bool = False, durable: bool = False, concurrent: bool = False
    ) -> AbstractContextManager[Connection]:
        """Begin it.

        Args:
            read_only: Whether nothing is written in it. It sees one state of the journal, however long it takes.
            durable: Whether to wait until it is flushed even where the journal's usual durability does not.
            concurrent: Whether others may write meanwhile, where the database lets them. Otherwise the block is alone,
                and what it has read stays so to its end. Only for what was made for it: it locks the rows that it
                decides by, or changes a row only as it was read.

        Raises:
            JournalError: It failed. Nothing was written, unless it was the flush that failed.
        """


class Changes(Protocol):
    """Whether anybody has written to a journal since somebody last looked."""

    def note(self) -> None:
        """Note that the journal is looked at from now on."""

    def are_any(self) -> bool:
        """Return whether it was written to since; what the caller wrote may count, too. It does not wait."""


class Backend(Protocol):
    """A journal's database, open.

    Attributes:
        engine: Makes connections, for a writer; all others ask `connect`.
        folder: Where on this machine the journal has what is no row: locks, notes, and blobs, unless those are shared.
        address: The journal as people are told of it, without secrets.
        is_shared: Whether many machines may write to it and drain it at once.
    """

    @property
    def engine(self) -> Engine: ...  # noqa: D102 - above

    @property
    def folder(self) -> Path: ...  # noqa: D102 - above

    @property
    def address(self) -> str: ...  # noqa: D102 - above

    @property
    def is_shared(self) -> bool: ...  # noqa: D102 - above

    def connect(self) -> Connection:
        """Return a connection; the caller closes it. Its transactions are begun by `begins_on` alone.

        Raises:
            JournalError: The database cannot be used now.
        """

    def begins_on(self, connection: Connection) -> Begin:
        """Return what begins transactions on a connection; see `Begin`."""

    def now(self, connection: Connection) -> datetime:
        """Return the time by the clock that decides about leases; `connection` is in a transaction."""

    def changes(self) -> Changes:
        """Return what notices that somebody has written, until the database is closed."""

    def require_in_place(self, connection: Connection) -> None:
        """Check that what is written by a connection is seen by others.

        Raises:
            JournalUnwritable: It is not.
        """

    def fold(self, connection: Connection) -> bool:
        """Fold the write-ahead log back, if there is one; return False when another process was in the way."""

    def flush(self) -> None:
        """Flush what was committed so far, also by other processes.

        Raises:
            JournalUnavailable: It could not be flushed.
        """

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log, 0 where that is none of ours."""

    def database_bytes(self, connection: Connection) -> int:
        """Return the size of the rows, without free space and the log; `connection` is in a transaction."""

    def close(self) -> None:
        """Let go of the database."""
