"""Which checkpoint bytes nothing needs any more.

A newer checkpoint of the same role replaces an older one. Its bytes stay as long as a final checkpoint, the newest of
any role of any run, or an open delivery refers to them.
"""

from __future__ import annotations

from sqlalchemy import Connection, text, update

from journal.checkpoints.blobs import BlobStore
from journal.kinds import CHECKPOINT, FINAL
from journal.schema import tables
from journal.sessions.order import newest_checkpoint

NEEDED = f"""
    (b.sha256 IN (SELECT sha256 FROM deliveries WHERE state IN ('pending', 'claimed') AND sha256 IS NOT NULL)
     OR EXISTS (
        SELECT 1 FROM events o
        WHERE o.kind = '{CHECKPOINT}' AND json_extract(o.payload, '$.sha256') = +b.sha256
          AND (o.key = '{FINAL}' OR o.id = {newest_checkpoint("o")})))"""  # noqa: S608 - names of this package
"""The SQL condition under which the bytes of a row `b` of `blobs` must stay."""

_REPLACED = text(
    f"""
    SELECT DISTINCT b.sha256
    FROM events e JOIN blobs b ON b.sha256 = json_extract(e.payload, '$.sha256')
    WHERE e.run_id = :run_id AND e.kind = '{CHECKPOINT}' AND e.key = :role AND b.state = 'present'
      AND e.id != {newest_checkpoint("e")}
      AND NOT {NEEDED}
    """  # noqa: S608 - a constant of this module
)


def evict(connection: Connection, blobs: BlobStore, run_id: str, role: str) -> list[str]:
    """Remove the bytes of the run's replaced checkpoints of a role; return their sha256.

    The files go before the transaction ends, while the write lock keeps everybody from storing the same bytes again.
    A crash in between leaves a row that says `present`, and a later delivery finds the checkpoint replaced.
    """
    replaced = [row.sha256 for row in connection.execute(_REPLACED, {"run_id": run_id, "role": role})]
    for sha256 in replaced:
        blobs.remove(sha256)
        connection.execute(update(tables.blobs).where(tables.blobs.c.sha256 == sha256).values(state="removed"))
    return replaced
