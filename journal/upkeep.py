"""What a person does to a journal: drop dead letters, and prune what has arrived."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, update

from journal import tables, waiting
from journal.blobs import BlobStore
from journal.clock import now_text, utc_now
from journal.salvage import lost_snapshots

_D = tables.deliveries

# Everything of the run has arrived everywhere it goes, or was given up on purpose; and nothing was written lately.
# One whose every destination was given up goes nowhere any more. Usage events never go anywhere.
_SETTLED = text(
    """
    SELECT r.id, EXISTS (SELECT 1 FROM targets t WHERE t.run_id = r.id AND t.dropped_at IS NULL) AS goes_somewhere
    FROM runs r
    WHERE EXISTS (SELECT 1 FROM targets t WHERE t.run_id = r.id)
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.run_id = r.id AND d.state IN ('pending', 'claimed', 'dead'))
      AND NOT EXISTS (SELECT 1 FROM targets t JOIN events e ON e.run_id = t.run_id
                      WHERE t.run_id = r.id AND t.dropped_at IS NULL AND e.id > t.planned_through
                        AND e.kind != 'usage')
      AND (SELECT max(created_at) FROM events e WHERE e.run_id = r.id) < :before
    """
)
_UNREFERENCED = text(
    """
    SELECT b.sha256, b.size FROM blobs b
    WHERE b.state = 'present'
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.sha256 = b.sha256)
      AND NOT EXISTS (SELECT 1 FROM events e
                      WHERE e.kind = 'checkpoint' AND json_extract(e.payload, '$.sha256') = b.sha256)
    """
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
_DELETE = (
    "UPDATE targets SET stage = max(stage, 1) WHERE run_id IN :runs",
    "DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE run_id IN :runs)",
    "DELETE FROM deliveries WHERE run_id IN :runs",
    "DELETE FROM events WHERE run_id IN :runs",
)


@dataclass(frozen=True)
class Pruned:
    """What `prune` took out.

    Attributes:
        runs: Runs whose events are gone; the runs themselves stay, with what the platforms called them.
        events: Events.
        blobs: Checkpoints.
        bytes: Their size.
    """

    runs: int
    events: int
    blobs: int
    bytes: int


def drop(connection: Connection, delivery_ids: Sequence[int]) -> int:
    """Give up dead letters for good; their rows stay as `dropped`. Return how many.

    A run that was blocked goes on after its last one.

    Raises:
        UnknownRow: One of them is no dead letter; none was dropped.
    """
    waiting.require_dead(connection, delivery_ids)
    values = {"state": "dropped", "settled_at": now_text()}
    dropped = connection.execute(update(_D).where(_D.c.id.in_(delivery_ids)).values(values)).rowcount
    waiting.unblock_emptied(connection, delivery_ids)
    return dropped


def prune(connection: Connection, before: str, live: Sequence[str], *, given_up: bool = False) -> Pruned:
    """Take out the events and deliveries of runs that have arrived whole, and mark the bytes that nothing refers to.

    Args:
        connection: In a write transaction.
        before: Only runs whose newest event is older than this ISO time.
        live: Runs that are being written to; they are left alone.
        given_up: Also runs whose every destination was given up, whatever of them has arrived.
    """
    runs = arrived(connection, before, live) + (_given_up(connection, before, live) if given_up else [])
    events = delete_runs(connection, runs)
    unused = unreferenced(connection)
    mark_removed(connection, {row.sha256 for row in unused})
    return Pruned(len(runs), events, len(unused), sum(row.size for row in unused))


def arrived(connection: Connection, before: str, live: Sequence[str]) -> list[str]:
    """Return the runs that have arrived whole, were last written to before this ISO time, and are not live.

    One with a checkpoint that is still to be salvaged has not, nor has one whose every destination was given up.
    """
    staying = {*live, *(lost.run_id for lost in lost_snapshots(connection, utc_now()))}
    settled = connection.execute(_SETTLED, {"before": before})
    return [run.id for run in settled if run.goes_somewhere and run.id not in staying]


def _given_up(connection: Connection, before: str, live: Sequence[str]) -> list[str]:
    settled = connection.execute(_SETTLED, {"before": before})
    return [run.id for run in settled if not run.goes_somewhere and run.id not in live]


def delete_runs(connection: Connection, runs: Sequence[str]) -> int:
    """Delete the events and deliveries of runs; return how many events that were."""
    events = 0
    for statement in _DELETE if runs else ():
        bound = text(statement).bindparams(bindparam("runs", expanding=True))
        events = connection.execute(bound, {"runs": runs}).rowcount  # the last statement's count is the events'
    return events


def pruned(connection: Connection, *, known_at: int | None = None) -> set[str]:
    """Return the runs of which events were deleted, also those that were resumed since.

    Args:
        connection: Any.
        known_at: Leave out those that go to this destination, and those that it knows though it was given up.
    """
    return set(connection.execute(_PRUNED, {"known_at": known_at}).scalars())


def unreferenced(connection: Connection) -> Sequence[Row[Any]]:
    """Return `sha256` and `size` of the bytes that nothing refers to."""
    return connection.execute(_UNREFERENCED).all()


def mark_removed(connection: Connection, sha256s: Collection[str]) -> None:
    """Write that the bytes are given up; `clear_removed` takes them out once that is committed."""
    table = tables.blobs
    connection.execute(update(table).where(table.c.sha256.in_(sha256s)).values(state="removed"))


def clear_removed(connection: Connection, blobs: BlobStore) -> None:
    """Take the bytes out of the store whose rows say that they were given up.

    Args:
        connection: In a write transaction, so that nobody stores the same bytes again at this moment.
        blobs: The journal's.
    """
    removed = set(connection.execute(select(tables.blobs.c.sha256).where(tables.blobs.c.state == "removed")).scalars())
    for sha256 in blobs.names():
        if sha256 in removed:
            blobs.remove(sha256)
