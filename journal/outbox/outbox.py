"""The drain's side of a journal: where runs go, what is to be planned, claims, and what came of them.

One thread owns an `Outbox`. Each method of its parts is one transaction. Many drains may work on one journal at once: a
claim is leased until a time and numbered by a fence, and what an overtaken owner reports is refused.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from journal.errors import JournalUnwritable, from_sqlite
from journal.outbox.backlog import Backlogs
from journal.outbox.claims import Claims
from journal.outbox.copies import Copies
from journal.outbox.planning import Plans
from journal.outbox.routing import Routes
from journal.outbox.settling import Settlement
from journal.sessions.liveness import is_training, live_runs
from journal.storage.connections import CountedConnection, is_unlinked, transaction
from journal.storage.database import Begin
from journal.storage.folding import fold_wal


class Outbox:
    """Deliveries of one journal. Every method raises a `JournalError` when the file cannot be used.

    Attributes:
        connection: The one connection, of the thread that owns the outbox.
        begin: Begins a transaction on it.
        routes: Where runs go.
        backlogs: What no delivery was planned for yet.
        plans: Deliveries that are made.
        claims: Deliveries that are taken to be sent.
        settlement: What came of them.
        copies: Whether the journal may be an older copy.
    """

    def __init__(self, engine: Engine, database: Path) -> None:
        """Connect; `close` disconnects."""
        self._database = database
        self.connection = engine.connect()
        self.begin: Begin = partial(transaction, self.connection, database)
        self.routes = Routes(self.begin)
        self.backlogs = Backlogs(self.begin)
        self.plans = Plans(self.begin)
        self.claims = Claims(self.begin)
        self.settlement = Settlement(self.begin)
        self.copies = Copies(self.begin, database)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def live_runs(self, now: datetime) -> list[str]:
        """Return the ids of the runs that are being trained, as far as is known."""
        with self.begin(read_only=True) as connection:
            return live_runs(connection, now)

    def is_training(self, now: datetime) -> bool:
        """Return whether any session goes on, also one whose machine has slept since its last heartbeat."""
        with self.begin(read_only=True) as connection:
            return is_training(connection, now)

    def require_in_place(self) -> None:
        """Check that the database is where it was opened.

        Raises:
            JournalUnwritable: It was removed or replaced; what is written goes into a file without a name.
        """
        driver = self._driver()
        if driver.has_lost_its_file or is_unlinked(self._database, driver.file):
            raise JournalUnwritable(
                f"{self._database}, or its log, was removed or replaced while it was in use; a training that still "
                "writes makes it anew with its run. Run the command again for what is there now"
            )

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        try:
            return fold_wal(self._driver())
        except sqlite3.Error as error:
            raise from_sqlite(error, self._database) from error

    def _driver(self) -> CountedConnection:
        driver = self.connection.connection.driver_connection
        assert isinstance(driver, CountedConnection)
        return driver
