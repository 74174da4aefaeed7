"""The rows of the drains that work on a shared journal: each is renewed as its drain renews its leases.

They are read by `journal.reading.drain_at_work`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from journal.clock import to_text
from journal.storage.backend import Begin

_FORGOTTEN = timedelta(days=1)
_BEAT = text(
    """
    INSERT INTO drains (id, host, pid, version, started_at, heartbeat_at, told)
    VALUES (:id, :host, :pid, :version, :now, :now, :told)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, told = excluded.told
    """
)
_END = text("DELETE FROM drains WHERE id = :id")
_FORGET = text("DELETE FROM drains WHERE heartbeat_at < :before")


class Drains:
    """The rows. Each method is one transaction."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin

    def beat(self, id_: str, *, host: str, pid: int, version: str, told: str, now: datetime) -> None:
        """Note that a drain is at work, and what it tells; forget those that were killed long ago.

        Args:
            id_: Uuid.
            host: Its machine.
            pid: Its process.
            version: Of this package.
            told: What it tells of itself, JSON.
            now: By the server's clock.
        """
        values = {"id": id_, "host": host, "pid": pid, "version": version, "told": told, "now": to_text(now)}
        with self._begin(concurrent=True) as connection:
            connection.execute(_FORGET, {"before": to_text(now - _FORGOTTEN)})
            connection.execute(_BEAT, values)

    def end(self, id_: str) -> None:
        """Note that a drain has ended."""
        with self._begin(concurrent=True) as connection:
            connection.execute(_END, {"id": id_})
