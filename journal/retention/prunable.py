"""What may be deleted from a journal: runs that were delivered completely, and blobs that nothing needs.

A newer checkpoint supersedes an older one of the same role. The older one's bytes are kept as long as a final
checkpoint, the newest one of any role of any run, or an open delivery refers to them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, update

from journal.checkpoints.blob_access import Blobs
from journal.checkpoints.blobs import BlobStore
from journal.checkpoints.salvage import lost_snapshots
from journal.clock import to_text
from journal.kinds import CHECKPOINT, FINAL, NOT_FOR_PLATFORMS, listed
from journal.schema import plausible_times, tables
from journal.sessions.order import newest_checkpoint
from journal.storage.backend import Begin

_D = tables.deliveries

# Everything of the run was delivered to each destination, or dropped by a person, and nothing was written lately. Kinds
# that are for no platform do not count as undelivered.
_SETTLED = text(
    f"""
    SELECT r.id, EXISTS (SELECT 1 FROM targets t WHERE t.run_id = r.id AND t.dropped_at IS NULL) AS goes_somewhere
    FROM runs r
    WHERE r.id IN (SELECT run_id FROM targets)
      AND r.id NOT IN (SELECT run_id FROM deliveries WHERE state IN ('pending', 'claimed'))
      AND r.id NOT IN (SELECT run_id FROM deliveries WHERE state = 'dead')
      AND NOT EXISTS (SELECT 1 FROM targets t JOIN events e ON e.run_id = t.run_id
                      WHERE t.run_id = r.id AND t.dropped_at IS NULL AND e.id > t.planned_through
                        AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)}))
      AND EXISTS (SELECT 1 FROM events e WHERE e.run_id = r.id)
      AND NOT EXISTS (SELECT 1 FROM events e
                      WHERE e.run_id = r.id AND e.created_at >= :before AND e.created_at <= :latest_now)
    """  # noqa: S608 - names of this package
)
_UNREFERENCED = text(
    f"""
    SELECT b.sha256, b.size FROM blobs b
    WHERE b.state = 'present'
      AND b.sha256 NOT IN (SELECT sha256 FROM deliveries WHERE sha256 IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM events e
                      WHERE e.kind = '{CHECKPOINT}' AND json_extract(e.payload, '$.sha256') = b.sha256 || '')
    """  # noqa: S608 - names of this package
)
# The deliveries that a target began with, of stage 0 or 1, are gone; what was planned later has higher stages. A target
# that had none is given a stage for this.
_PRUNED = text(
    """
    SELECT DISTINCT t.run_id FROM targets t
    WHERE t.stage > 0
      AND (t.run_id, t.destination_id) NOT IN (SELECT run_id, destination_id FROM deliveries WHERE stage <= 1)
      AND NOT EXISTS (SELECT 1 FROM targets here WHERE here.run_id = t.run_id AND here.destination_id = :known_at
                        AND (here.dropped_at IS NULL OR here.state != 'new'))
    """
)
NEEDED = f"""
    (b.sha256 IN (SELECT sha256 FROM deliveries WHERE state IN ('pending', 'claimed') AND sha256 IS NOT NULL)
     OR EXISTS (
        SELECT 1 FROM events o
        WHERE o.kind = '{CHECKPOINT}' AND json_extract(o.payload, '$.sha256') = b.sha256 || ''
          AND (o.key = '{FINAL}' OR o.id = {newest_checkpoint("o")})))"""  # noqa: S608 - names of this package
"""The SQL condition under which the bytes of a row `b` of `blobs` must stay."""

_SUPERSEDED = text(
    f"""
    SELECT DISTINCT b.sha256
    FROM events e JOIN blobs b ON b.sha256 = json_extract(e.payload, '$.sha256')
    WHERE e.run_id = :run_id AND e.kind = '{CHECKPOINT}' AND e.key = :role AND b.state = 'present'
      AND e.id != {newest_checkpoint("e")}
      AND NOT {NEEDED}
    """  # noqa: S608 - a constant of this module
)


def prunable(
    connection: Connection, before: datetime, now: datetime, live: Collection[str], *, given_up: bool = False
) -> list[str]:
    """Return the runs that were delivered completely, were last written to before a time, and are not live.

    A run with a checkpoint that is still to be salvaged is not one of them, nor is one whose every destination was
    dropped.

    Args:
        connection: Any.
        before: The time.
        now: The current one; an event from the future does not keep its run.
        live: Runs that are being written to, or may be.
        given_up: Also runs whose every destination was dropped, whether or not anything was delivered.
    """
    settled = connection.execute(_SETTLED, {"before": to_text(before), "latest_now": plausible_times.latest(now)}).all()
    lost = {one.run_id for one in lost_snapshots(connection, now)}
    arrived = [run.id for run in settled if run.goes_somewhere and run.id not in lost]
    dropped = [run.id for run in settled if not run.goes_somewhere] if given_up else []
    return [run for run in arrived + dropped if run not in live]


def pruned(connection: Connection, *, known_at: int | None = None) -> set[str]:
    """Return the runs of which events were deleted, also those that were resumed since.

    Args:
        connection: Any.
        known_at: Leave out the runs that go to this destination, and those that it knows although it was dropped.
    """
    return set(connection.execute(_PRUNED, {"known_at": known_at}).scalars())


def unreferenced(connection: Connection) -> Sequence[Row[Any]]:
    """Return `sha256` and `size` of the bytes that nothing refers to."""
    return connection.execute(_UNREFERENCED).all()


def mark_removed(connection: Connection, sha256s: Collection[str]) -> None:
    """Mark blobs as removed; `clear_removed` deletes their files once that is committed."""
    table = tables.blobs
    removed = update(table).where(table.c.sha256 == bindparam("gone")).values(state="removed")
    if sha256s:
        connection.execute(removed, [{"gone": sha256} for sha256 in sha256s])


def clear_removed(begin: Begin, blobs: Blobs, at_once: int | None = None) -> None:
    """Delete the files of blobs that are marked as removed.

    Args:
        begin: Begins write transactions, in which nobody stores the same bytes again at this moment.
        blobs: The journal's.
        at_once: How many in one transaction; None for all.
    """
    there = blobs.names()
    if at_once is not None:
        with begin(read_only=True) as connection:
            there = _removed(connection, there)
    step = at_once or max(len(there), 1)
    for start in range(0, len(there), step):
        with begin() as connection:
            for sha256 in _removed(connection, there[start : start + step]):
                blobs.remove(sha256)


def _removed(connection: Connection, sha256s: Iterable[str]) -> list[str]:
    """Return those of these blobs that are marked as removed, in order."""
    removed = set(connection.execute(select(tables.blobs.c.sha256).where(tables.blobs.c.state == "removed")).scalars())
    return [sha256 for sha256 in sha256s if sha256 in removed]


def evict_superseded(connection: Connection, blobs: BlobStore, run_id: str, role: str) -> list[str]:
    """Remove the bytes of the run's superseded checkpoints of a role; return their sha256.

    The files go before the transaction ends, while the write lock keeps everybody from storing the same bytes again.
    A crash in between leaves a row that says `present`, and a later delivery finds the checkpoint superseded.
    """
    superseded = [row.sha256 for row in connection.execute(_SUPERSEDED, {"run_id": run_id, "role": role})]
    for sha256 in superseded:
        blobs.remove(sha256)
        connection.execute(update(tables.blobs).where(tables.blobs.c.sha256 == sha256).values(state="removed"))
    return superseded
