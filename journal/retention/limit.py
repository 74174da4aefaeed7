"""The size of a journal, and keeping it within a limit.

The size is that of the database's used pages and of the checkpoints. Not counted are the write-ahead log (see
`folding.FOLDED_AT_BYTES`), free pages that SQLite keeps, and a checkpoint that is being copied. Measuring takes two
pragmas and a sum over the checkpoints' rows, so no running total has to be maintained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from journal.checkpoints.blobs import BlobStore
from journal.clock import now_text
from journal.encoding import encode
from journal.kinds import FINAL, GIVEN_UP, LAST
from journal.losses import loss_payload
from journal.retention.eviction import (
    CHECKPOINTS,
    CHECKPOINTS_FOR_LAST,
    EVENTS,
    WITHOUT_LOSS,
    Losses,
    Step,
    replaced_next,
    size_of,
)
from journal.retention.prunable import clear_removed
from journal.schema import tables
from journal.sessions import session_rows
from journal.sessions.identity import UPKEEP
from journal.storage.backend import Begin

_BLOB_BYTES = "SELECT coalesce(sum(size), 0) FROM blobs WHERE state = 'present'"
SLACK = 20
"""Console text is evicted until a 20th of the limit is free, so that it does not happen at every heartbeat."""


@dataclass(frozen=True)
class Size:
    """What a journal holds.

    Attributes:
        database: Bytes of the database's pages in use.
        blobs: Bytes of its checkpoints.
    """

    database: int
    blobs: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.database + self.blobs


def measure(connection: Connection) -> Size:
    """Return the journal's size."""
    return measure_by(lambda question: int(connection.exec_driver_sql(question).scalar_one()))


def blob_bytes(connection: Connection) -> int:
    """Return the bytes of the checkpoints."""
    return int(connection.exec_driver_sql(_BLOB_BYTES).scalar_one())


def measure_by(ask: Callable[[str], int]) -> Size:
    """Return the journal's size.

    Args:
        ask: Returns the number that an SQL query gives.
    """
    pages, free, page_size = (ask(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size"))
    return Size((pages - free) * page_size, ask(_BLOB_BYTES))


class Space:
    """A journal and its limit. Each eviction is recorded in its own transaction; the files are deleted afterwards."""

    def __init__(self, begin: Begin, blobs: BlobStore, limit: int) -> None:
        """Do nothing yet.

        Args:
            begin: Begins a transaction.
            blobs: The journal's.
            limit: Bytes.
        """
        self._begin = begin
        self._blobs = blobs
        self._limit = limit

    def for_events(self) -> bool:
        """Evict until the journal is within its limit; return whether it is."""
        self._free(0, (*WITHOUT_LOSS, *CHECKPOINTS))
        if not self._fits(0):
            self._free(self._limit // SLACK, EVENTS)
        return self._fits(0)

    def for_checkpoint(self, size: int, run_id: str, role: str) -> bool:
        """Make room for a new checkpoint; return whether to store it. A final one is always stored.

        Nothing is evicted for a checkpoint that would not fit even then, and console text only for a final one.

        Args:
            size: Bytes.
            run_id: Whose.
            role: `last`, `best` or `final`.
        """
        with self._begin(read_only=True) as connection:
            needed = max(0, size - replaced_next(connection, run_id, role))
        self._free(needed, WITHOUT_LOSS)
        checkpoints = CHECKPOINTS_FOR_LAST if role == LAST else CHECKPOINTS
        if role != FINAL and not self._could_fit(needed, checkpoints[-1]):
            return False
        self._free(needed, (*checkpoints, *(EVENTS if role == FINAL else ())))
        return role == FINAL or self._fits(needed)

    def _could_fit(self, needed: int, step: Step) -> bool:
        with self._begin(read_only=True) as connection:
            excess = self._excess(connection, needed)
            return excess <= size_of(step.find(connection, excess))

    def _fits(self, needed: int) -> bool:
        with self._begin(read_only=True) as connection:
            return self._excess(connection, needed) <= 0

    def _excess(self, connection: Connection, needed: int) -> int:
        return measure(connection).total + needed - self._limit

    def _free(self, needed: int, steps: Iterable[Step]) -> None:
        for step in steps:
            while self._is_there(step, needed):
                self._take(step, needed)

    def _is_there(self, step: Step, needed: int) -> bool:
        """Return whether a step has something to evict; the search may take long, and locks nobody out."""
        with self._begin(read_only=True) as connection:
            excess = self._excess(connection, needed)
            return excess > 0 and bool(step.find(connection, excess))

    def _take(self, step: Step, needed: int) -> None:
        """Evict what fits into one transaction, or nothing if another process has made room meanwhile."""
        with self._begin(durable=True) as connection:
            excess = self._excess(connection, needed)
            if excess > 0 and (found := step.find(connection, excess)):
                losses = step.take(connection, found)
                _record_losses(connection, losses, f"the journal has reached its limit of {self._limit} bytes")
        self._clear()

    def _clear(self) -> None:
        clear_removed(self._begin, self._blobs)
        self._blobs.clear()


def _record_losses(connection: Connection, losses: Losses, reason: str) -> None:
    """Record one event per run, in a session of its own, in the transaction of the eviction."""
    for run_id, loss in losses:
        session = session_rows.beside_training(connection, run_id, UPKEEP)
        values = {"run_id": run_id, "kind": GIVEN_UP, "key": loss.what, "created_at": now_text()}
        payload = encode(loss_payload(reason, [loss]))
        connection.execute(insert(tables.events).values(**values, session_id=session, payload=payload))
