"""What may be evicted when a journal has to become smaller, and in which order.

1. Bytes that no event refers to, and bytes that were delivered to every destination of their runs. Nothing is lost.
2. Runs that were delivered completely, the oldest first: rows and bytes, as `prune` does it. Nothing is lost.
3. Checkpoints that were not delivered, if the run has a newer one of the same role.
4. Other checkpoints that were not delivered and are not final: those of the oldest run first, and within a run `last`
   before `best`. To make room for a new `last`, no run's newest `best` is evicted.
5. Console text (`kinds.EVICTABLE`) that is not part of a delivery yet, the oldest first.

Never evicted: metrics, the start and end of a run, a final checkpoint that was not delivered, the body of a planned
delivery, and a checkpoint that a drain is uploading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, text, update

from journal.clock import now_text, utc_now
from journal.kinds import BEST, CHECKPOINT, EVICTABLE, FINAL, listed, of
from journal.losses import Loss
from journal.retention import prunable, pruning
from journal.schema import tables
from journal.sessions.liveness import live_runs
from journal.sessions.order import newest_checkpoint

Rows = Sequence[Row[Any]]
Losses = Sequence[tuple[str, Loss]]
"""What runs have lost, after their uuids."""

EVENTS_AT_ONCE = 8 << 20
"""Most bytes of events that one transaction deletes: an event may be waiting for it."""
GIVEN_UP_ERROR = "given up: the journal had reached its size limit"

# The plus takes away the column's affinity, with which SQLite would not use the index of the expression.
_REFERS = f"e.kind = '{CHECKPOINT}' AND json_extract(e.payload, '$.sha256') = b.sha256 || ''"
_ARRIVED_BYTES = text(
    f"""
    WITH arrived AS (SELECT DISTINCT sha256, run_id, destination_id FROM deliveries
                     WHERE lane = 'upload' AND state = 'delivered')
    SELECT b.sha256, b.size FROM blobs b
    WHERE b.state = 'present' AND b.sha256 IN (SELECT sha256 FROM arrived)
      AND b.sha256 NOT IN (SELECT sha256 FROM deliveries WHERE state IN ('pending', 'claimed') AND sha256 IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM events e LEFT JOIN targets t ON t.run_id = e.run_id AND t.dropped_at IS NULL
                      WHERE {_REFERS}
                        AND (b.sha256, e.run_id, t.destination_id) NOT IN (SELECT * FROM arrived))
    ORDER BY b.created_at
    """  # noqa: S608 - constants of this module
)
# One row for each run that refers to the bytes, so that the loss is recorded for each of them. No final checkpoint may
# refer to them. The condition on open states looks redundant beside `claimed`, but SQLite uses the partial index of
# open deliveries only where it is written out.
_UNDELIVERED = """
    SELECT b.sha256, b.size, e.run_id
    FROM blobs b JOIN events e ON {refers} JOIN runs r ON r.id = e.run_id
    WHERE b.state = 'present'
      AND b.sha256 NOT IN (SELECT sha256 FROM deliveries WHERE state IN ('pending', 'claimed') AND state = 'claimed'
                             AND sha256 IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM events e WHERE {refers} AND (e.key = :final OR {kept}))
    GROUP BY b.sha256, e.run_id
    ORDER BY r.created_at, max(e.key = :best), min(e.id)
    """
_ROLES = {"final": FINAL, "best": BEST}
_IS_NEWEST = f"e.id = {newest_checkpoint('e')}"
_REPLACED = text(_UNDELIVERED.format(refers=_REFERS, kept=_IS_NEWEST)).bindparams(**_ROLES)
_NOT_FINAL = text(_UNDELIVERED.format(refers=_REFERS, kept="0")).bindparams(**_ROLES)
_NOT_FINAL_NOR_BEST = text(_UNDELIVERED.format(refers=_REFERS, kept=f"(e.key = :best AND {_IS_NEWEST})")).bindparams(
    **_ROLES
)
_EVENTS = text(
    f"""
    SELECT e.id, e.run_id, e.kind, length(CAST(e.payload AS BLOB)) AS size FROM events e
    WHERE e.kind IN ({listed(EVICTABLE)})
      AND e.id > coalesce((SELECT max(t.planned_through) FROM targets t WHERE t.run_id = e.run_id), 0)
    ORDER BY e.id
    """  # noqa: S608 - names of this package
)
# What `prunable.evict_superseded` removes once the next one is there: `last` and `best` may be the same bytes.
_REPLACED_NEXT = text(
    f"""
    SELECT b.size FROM events e JOIN blobs b ON {_REFERS}
    WHERE e.run_id = :run_id AND e.key = :role AND e.key != :final AND b.state = 'present'
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.sha256 = b.sha256 AND d.state IN ('pending', 'claimed'))
      AND NOT EXISTS (SELECT 1 FROM events e WHERE {_REFERS} AND (e.key = :final OR {_IS_NEWEST})
                        AND (e.run_id, e.key) != (:run_id, :role))
    ORDER BY e.id DESC LIMIT 1
    """  # noqa: S608 - constants of this module
)


@dataclass(frozen=True)
class Step:
    """One category of data that may be evicted.

    Attributes:
        find: Returns rows that cover a number of bytes, or all rows there are.
        take: Removes the rows found from the tables; returns what each run loses.
    """

    find: Callable[[Connection, int], Rows]
    take: Callable[[Connection, Rows], Losses]


def size_of(rows: Rows) -> int:
    """Return the total size of the blobs in these rows, counting each blob once."""
    return sum({row.sha256: row.size for row in rows}.values())


def replaced_next(connection: Connection, run_id: str, role: str) -> int:
    """Return how many bytes the run's next checkpoint of a role will supersede."""
    return connection.execute(_REPLACED_NEXT, {"run_id": run_id, "role": role, "final": FINAL}).scalar() or 0


def checkpoints_not_final(connection: Connection, excess: int) -> Rows:
    """Return checkpoints that were not delivered and are not final, those of the oldest run first."""
    return _enough(connection.execute(_NOT_FINAL).all(), excess)


def checkpoints_for_last(connection: Connection, excess: int) -> Rows:
    """Return those that may be evicted for a `last`: not a run's newest `best`, which is its result so far."""
    return _enough(connection.execute(_NOT_FINAL_NOR_BEST).all(), excess)


def _checkpoints_replaced(connection: Connection, excess: int) -> Rows:
    return _enough(connection.execute(_REPLACED).all(), excess)


def bytes_unreferenced(connection: Connection, excess: int) -> Rows:
    """Return bytes that no event refers to."""
    return _enough(prunable.unreferenced(connection), excess)


def bytes_arrived(connection: Connection, excess: int) -> Rows:
    """Return bytes that were delivered to every destination of their runs."""
    return _enough(connection.execute(_ARRIVED_BYTES).all(), excess)


def _oldest_arrived_run(connection: Connection, _: int) -> Rows:
    """Return one run at a time, because the space that a run takes up is known only after it was deleted."""
    now = utc_now()
    arrived = prunable.prunable(connection, now, now, live_runs(connection, now))
    table, wanted = tables.runs, set(arrived)
    with connection.execute(select(table.c.id).order_by(table.c.created_at)) as oldest:
        return [row for row in oldest if row.id in wanted][:1]


def _events(connection: Connection, excess: int) -> Rows:
    found: list[Row[Any]] = []
    size = 0
    with connection.execute(_EVENTS) as rows:
        for row in rows:
            if size >= min(excess, EVENTS_AT_ONCE):
                break
            found.append(row)
            size += row.size
    return found


def _enough(rows: Rows, excess: int) -> Rows:
    """Return the first rows whose blobs come to `excess` bytes, and every other row of these blobs."""
    chosen: set[str] = set()
    size = 0
    for row in rows:
        if size >= excess:
            break
        size += 0 if row.sha256 in chosen else row.size
        chosen.add(row.sha256)
    return [row for row in rows if row.sha256 in chosen]


def _remove_bytes(connection: Connection, rows: Rows) -> Losses:
    prunable.mark_removed(connection, {row.sha256 for row in rows})
    return ()


def _delete_runs(connection: Connection, rows: Rows) -> Losses:
    pruning.delete_runs(connection, [row.id for row in rows])
    prunable.mark_removed(connection, {row.sha256 for row in prunable.unreferenced(connection)})
    return ()


def _evict(what: str) -> Callable[[Connection, Rows], Losses]:
    """Return what removes bytes that have not arrived, and closes the deliveries that wait for them."""

    def take(connection: Connection, rows: Rows) -> Losses:
        gone = {row.sha256 for row in rows}
        prunable.mark_removed(connection, gone)
        table = tables.deliveries
        waiting = (tables.is_open(table), table.c.state == "pending", table.c.sha256.in_(gone))
        values = {"state": "superseded", "settled_at": now_text(), "last_error": GIVEN_UP_ERROR}
        connection.execute(update(table).where(*waiting).values(values))
        return _losses(what, rows)

    return take


def _delete_events(connection: Connection, rows: Rows) -> Losses:
    statement = delete(tables.events).where(tables.events.c.id == bindparam("gone"))
    connection.execute(statement, [{"gone": row.id} for row in rows])
    by_kind = {kind: [row for row in rows if row.kind == kind] for kind in EVICTABLE}
    return [loss for kind, gone in by_kind.items() for loss in _losses(of(kind).evicted_as or kind, gone)]


def _losses(what: str, rows: Iterable[Row[Any]]) -> list[tuple[str, Loss]]:
    """Return what each run loses."""
    by_run = groupby(sorted(rows, key=lambda row: str(row.run_id)), key=lambda row: str(row.run_id))
    sizes = {run_id: [row.size for row in group] for run_id, group in by_run}
    return [(run_id, Loss(what, len(each), sum(each))) for run_id, each in sizes.items()]


WITHOUT_LOSS = (
    Step(bytes_unreferenced, _remove_bytes),
    Step(bytes_arrived, _remove_bytes),
    Step(_oldest_arrived_run, _delete_runs),
)
_REPLACED_ONES = Step(_checkpoints_replaced, _evict("checkpoints that newer ones had replaced"))
CHECKPOINTS = (_REPLACED_ONES, Step(checkpoints_not_final, _evict("checkpoints")))
CHECKPOINTS_FOR_LAST = (_REPLACED_ONES, Step(checkpoints_for_last, _evict("checkpoints")))
EVENTS = (Step(_events, _delete_events),)
