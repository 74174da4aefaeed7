"""The drain's side of a journal: where runs go, what is to be planned, claims, and what came of them.

One thread owns an `Outbox`. Each method of its parts is one transaction. Many drains may work on one journal at once: a
claim is leased until a time and numbered by a fence, and what an overtaken owner reports is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from journal.clock import utc_now
from journal.outbox.backlog import Backlogs
from journal.outbox.claims import Claims
from journal.outbox.copies import Copies
from journal.outbox.drains import Drains
from journal.outbox.pauses import Pauses
from journal.outbox.planning import Plans
from journal.outbox.routing import Routes
from journal.outbox.server_time import ServerTime
from journal.outbox.settling import Settlement
from journal.sessions.liveness import is_training, live_runs
from journal.storage.backend import Backend, Begin


class Outbox:
    """Deliveries of one journal. Every method raises a `JournalError` when the file cannot be used.

    Attributes:
        connection: The one connection, of the thread that owns the outbox.
        begin: Begins a transaction on it.
        require_in_place: Raises `JournalUnwritable` where the database is not where it was opened.
        fold_wal: Folds the write-ahead log back into the database; returns False when another process was in the way.
        routes: Where runs go.
        backlogs: What no delivery was planned for yet.
        plans: Deliveries that are made.
        claims: Deliveries that are taken to be sent.
        settlement: What came of them.
        copies: Whether the journal may be an older copy.
        is_shared: Whether other drains may be at work, on this machine and on others. The next two are for them.
        drains: Which are.
        pauses: What they know of platforms that want to be left alone.
        now: Returns the time by the clock that decides about leases.
    """

    def __init__(self, backend: Backend) -> None:
        """Connect; `close` disconnects."""
        self._backend = backend
        self.connection = backend.connect()
        self.begin: Begin = backend.begins_on(self.connection)
        self.require_in_place: Callable[[], None] = partial(backend.require_in_place, self.connection)
        self.fold_wal: Callable[[], bool] = partial(backend.fold, self.connection)
        self.routes = Routes(self.begin)
        self.backlogs = Backlogs(self.begin)
        self.plans = Plans(self.begin)
        self.claims = Claims(self.begin)
        self.settlement = Settlement(self.begin)
        self.copies = Copies(self.begin, None if backend.is_shared else backend.folder / "journal.db")
        self.is_shared = backend.is_shared
        self.drains = Drains(self.begin)
        self.pauses = Pauses(self.begin)
        self.now: Callable[[], datetime] = ServerTime(self._server_time) if backend.is_shared else utc_now

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

    def _server_time(self) -> datetime:
        with self.begin(read_only=True) as connection:
            return self._backend.now(connection)
