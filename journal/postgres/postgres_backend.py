"""A journal's rows in a PostgreSQL database: see `journal.storage.backend.Backend`.

A transaction is alone by default, as with SQLite: it waits for an advisory lock of the whole journal. Those that many
drains and collectors make all the time say that they are made for others beside them (`concurrent`), and share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from journal.errors import JournalError, LibraryMissing
from journal.postgres import advisory_locks as locks
from journal.postgres.notices import Notices
from journal.postgres.postgres_errors import from_postgres
from journal.shared_addresses import EXAMPLE, shared_url, why_unusable, without_password
from journal.shared_library import NEEDS_LIBRARY
from journal.storage.backend import Begin

SCHEMA = "uploader"
"""The tables are in this schema, beside whatever else the database holds."""
# A server that vanished is noticed within a minute, and a process that hangs keeps others waiting no longer.
_SETTINGS = (
    f"-c search_path={SCHEMA} -c default_transaction_isolation=read\\ committed"
    " -c idle_in_transaction_session_timeout=60s -c lock_timeout=30s"
)
_CONNECTING = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
_READING = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_BYTES = text(
    """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relkind = 'r'
    """
).bindparams(schema=SCHEMA)
_NOW = text("SELECT clock_timestamp()")


class PostgresBackend:
    """A PostgreSQL database.

    Attributes:
        engine: Makes its connections; a few of them are kept open for the next who asks.
        folder: What this machine has of the journal.
        address: Its URL, without a password.
        is_shared: True: many machines write to it, and drain it at once.
    """

    is_shared = True

    def __init__(self, url: str, folder: Path) -> None:
        """Connect to nothing yet.

        Args:
            url: Such as `postgresql://user@host/database`.
            folder: Made if it is not there.

        Raises:
            JournalError: It is no such URL.
            LibraryMissing: The driver is not installed.
        """
        parsed = parse(url)
        self.folder = folder
        self.address = without_password(url)
        self.engine = _engine(parsed, self.address)
        self._notices: list[Notices] = []

    def connect(self) -> Connection:
        """Return a connection, a new one or one that was kept open."""
        try:
            return self.engine.connect()
        except DBAPIError as error:
            raise from_postgres(error, self.address) from error

    def begins_on(self, connection: Connection) -> Begin:
        """Return what begins transactions on a connection."""
        return partial(self._transaction, connection)

    @contextmanager
    def _transaction(
        self, connection: Connection, *, read_only: bool = False, durable: bool = False, concurrent: bool = False
    ) -> Iterator[Connection]:
        """Begin a transaction. One that fails because the server is away leaves a connection that connects anew."""
        del durable  # each is
        begun = _READING if read_only else locks.AMONG_OTHERS if concurrent else locks.ALONE
        try:
            with connection.begin():
                connection.execute(begun)
                yield connection
        except DBAPIError as error:
            raise from_postgres(error, self.address) from error

    def now(self, connection: Connection) -> datetime:
        """Return the server's time."""
        moment: datetime = connection.execute(_NOW).scalar_one()
        return moment.astimezone(timezone.utc)

    def changes(self) -> Notices:
        """Return what hears the server tell of new events."""
        self._notices.append(notices := Notices(self.engine))
        return notices

    def require_in_place(self, connection: Connection) -> None:
        """Do nothing: a connection cannot outlive its database."""

    def fold(self, connection: Connection) -> bool:
        """Do nothing: the server does that."""
        del connection
        return True

    def flush(self) -> None:
        """Do nothing: what the server has committed is flushed."""

    def log_bytes(self) -> int:
        """Return 0: the log is the server's."""
        return 0

    def database_bytes(self, connection: Connection) -> int:
        """Return the size of our tables and their indexes."""
        return int(connection.execute(_BYTES).scalar_one())

    def close(self) -> None:
        """Close the connections that are kept open, and those that listen."""
        for one in self._notices:
            one.close()
        self.engine.dispose()


def parse(url: str) -> URL:
    """Return the parts of a URL of PostgreSQL, for the driver that we use.

    Raises:
        JournalError: It is none.
    """
    if not (named := shared_url(url)):
        raise JournalError(f"a shared journal is named as {EXAMPLE}")
    if why := why_unusable(named):
        raise JournalError(why)
    try:
        return make_url(named).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):  # its words may hold the password
        raise JournalError(f"a shared journal is named as {EXAMPLE}") from None


def _engine(url: URL, address: str) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=2,
            pool_pre_ping=True,
            connect_args={**_CONNECTING, "options": _SETTINGS, "application_name": "uploader"},
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise LibraryMissing(f"{address} {NEEDS_LIBRARY}") from error
