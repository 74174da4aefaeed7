"""What a person does to a journal: drop dead letters, and prune what has arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text, update

from journal import tables
from journal.blobs import BlobStore
from journal.clock import now_text
from journal.errors import UnknownRow

_D = tables.deliveries

# Everything of the run has arrived everywhere it goes, or was given up on purpose; and nothing was written lately.
_ARRIVED = text(
    """
    SELECT r.id FROM runs r
    WHERE EXISTS (SELECT 1 FROM targets t WHERE t.run_id = r.id)
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.run_id = r.id AND d.state IN ('pending', 'claimed', 'dead'))
      AND NOT EXISTS (SELECT 1 FROM targets t JOIN events e ON e.run_id = t.run_id
                      WHERE t.run_id = r.id AND e.id > t.planned_through)
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
_DELETE = (
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

    Raises:
        UnknownRow: One of them is no dead letter; none was dropped.
    """
    known = set(connection.execute(select(_D.c.id).where(_D.c.state == "dead", _D.c.id.in_(delivery_ids))).scalars())
    if missing := [str(one) for one in delivery_ids if one not in known]:
        raise UnknownRow(f"no dead letter has the id {', '.join(missing)}; the view dead_letters lists them")
    values = {"state": "dropped", "settled_at": now_text()}
    return connection.execute(update(_D).where(_D.c.id.in_(known)).values(values)).rowcount


def prune(connection: Connection, blobs: BlobStore, before: str, live: Sequence[str]) -> Pruned:
    """Take out the events and deliveries of runs that have arrived whole, and the bytes that nothing refers to.

    Args:
        connection: In a write transaction.
        blobs: The journal's.
        before: Only runs whose newest event is older than this ISO time.
        live: Runs that are being written to; they are left alone.
    """
    arrived = [run for run in connection.execute(_ARRIVED, {"before": before}).scalars() if run not in live]
    events = 0
    for statement in _DELETE if arrived else ():
        bound = text(statement).bindparams(bindparam("runs", expanding=True))
        events = connection.execute(bound, {"runs": arrived}).rowcount  # the last statement's count is the events'
    unreferenced = connection.execute(_UNREFERENCED).all()
    for sha256, _ in unreferenced:
        blobs.remove(sha256)
        connection.execute(update(tables.blobs).where(tables.blobs.c.sha256 == sha256).values(state="removed"))
    return Pruned(len(arrived), events, len(unreferenced), sum(size for _, size in unreferenced))
