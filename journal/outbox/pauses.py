"""The pauses of platforms, as the drains of a shared journal tell each other of them.

A platform that one drain finds in need of a pause is left alone by all. When the pause is over, one drain asks: who
changes the row first. It is answered, and the row goes; or it is not, and the next pause is longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from journal.clock import from_text, to_text
from journal.records import Lane
from journal.storage.backend import Begin

_ALL = text("SELECT destination_id, lane, resumes_at, pauses, prober, probe_until FROM pauses")
# What was in flight when the pause began may fail as well: that makes it no longer than the platform asks for.
_BEGIN = text(
    """
    INSERT INTO pauses (destination_id, lane, resumes_at, pauses) VALUES (:destination_id, :lane, :resumes_at, :pauses)
    ON CONFLICT (destination_id, lane) DO UPDATE
    SET resumes_at = greatest(pauses.resumes_at, excluded.resumes_at),
        pauses = greatest(pauses.pauses, excluded.pauses), prober = NULL, probe_until = NULL
    WHERE pauses.resumes_at > :now OR pauses.prober = :prober
    """
)
_HERE = "destination_id = :destination_id AND lane = :lane"
_PROBE = text(
    f"""
    UPDATE pauses SET prober = :prober, probe_until = :until
    WHERE {_HERE} AND resumes_at <= :now AND (prober IS NULL OR prober = :prober OR probe_until < :now)
    """  # noqa: S608 - a name of this module
)
_GIVE_BACK = text(f"UPDATE pauses SET prober = NULL, probe_until = NULL WHERE {_HERE} AND prober = :prober")  # noqa: S608
_END = text(f"DELETE FROM pauses WHERE {_HERE} AND prober = :prober")  # noqa: S608


@dataclass(frozen=True)
class Pause:
    """A pause of one lane of a destination.

    Attributes:
        resumes_at: Until when nobody asks.
        pauses: How many in a row it is.
        prober: Who asks then, or has asked; None where nobody does yet.
        probe_until: When another may ask in its place.
    """

    resumes_at: datetime
    pauses: int
    prober: str | None
    probe_until: datetime | None


class Pauses:
    """The pauses of a shared journal. Each method is one transaction; times are the server's."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin

    def read(self) -> dict[tuple[int, Lane], Pause]:
        """Return all, by the destination's local id and the lane."""
        with self._begin(read_only=True) as connection:
            return dict(_read(connection.execute(_ALL).all()))

    def begin(
        self, destination_id: int, lane: Lane, *, resumes_at: datetime, pauses: int, prober: str, now: datetime
    ) -> None:
        """Have all leave a lane alone until a time, or longer where that is known already.

        Nothing changes where a pause is over and another drain asks: what fails here now was sent before.

        Args:
            destination_id: Local id.
            lane: Messages, which is all that goes there; or uploads alone.
            resumes_at: The time.
            pauses: How many in a row it is.
            prober: Who begins it; it asks no more.
            now: The time.
        """
        values = {"destination_id": destination_id, "lane": lane, "pauses": pauses, "prober": prober}
        with self._begin(concurrent=True) as connection:
            connection.execute(_BEGIN, {**values, "resumes_at": to_text(resumes_at), "now": to_text(now)})

    def may_probe(self, destination_id: int, lane: Lane, prober: str, *, seconds: float, now: datetime) -> bool:
        """Return whether this drain is the one that asks after a pause, for so many seconds; also to go on asking."""
        values = {"destination_id": destination_id, "lane": lane, "prober": prober, "now": to_text(now)}
        with self._begin(concurrent=True) as connection:
            until = to_text(now + timedelta(seconds=seconds))
            return connection.execute(_PROBE, {**values, "until": until}).rowcount == 1

    def give_back(self, destination_id: int, lane: Lane, prober: str) -> None:
        """Let another ask: this drain has nothing to send, or ends."""
        with self._begin(concurrent=True) as connection:
            connection.execute(_GIVE_BACK, {"destination_id": destination_id, "lane": lane, "prober": prober})

    def end(self, destination_id: int, lane: Lane, prober: str) -> None:
        """Have all send again: this drain has asked, and was answered."""
        with self._begin(concurrent=True) as connection:
            connection.execute(_END, {"destination_id": destination_id, "lane": lane, "prober": prober})


def _read(rows: Any) -> Iterator[tuple[tuple[int, Lane], Pause]]:
    for row in rows:
        until = None if row.probe_until is None else from_text(row.probe_until)
        yield (row.destination_id, row.lane), Pause(from_text(row.resumes_at), row.pauses, row.prober, until)
