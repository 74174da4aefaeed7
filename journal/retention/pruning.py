"""Deleting runs in pieces, each a transaction of its own, so that no event waits for long.

What to delete is determined first, in one pass over all rows. Before each piece is deleted, its run is checked again. A
run whose deletion was interrupted counts as pruned, because its first deliveries are deleted first; the next call
deletes the rest.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, delete, func, select, text, update

from journal.retention import prunable
from journal.schema import tables
from journal.schema.neutral import is_named
from journal.sessions.silent import going_on
from journal.storage.backend import Begin

_D = tables.deliveries
_E = tables.events
_ROWS = 2_000
"""How many deliveries or events are deleted in one transaction, while others wait."""
_PAUSE_SECONDS = 0.03
"""Between two pieces; a process that waits for the lock tries again every 25 ms."""

_EVENTS = (
    select(_E.c.run_id, func.count().label("amount"), func.max(_E.c.id).label("newest"))
    .where(is_named(_E.c.run_id, "runs"))
    .group_by(_E.c.run_id)
)
_DELIVERIES = select(_D.c.run_id, _D.c.id).where(is_named(_D.c.run_id, "runs")).order_by(_D.c.id)
_IS_OPEN = text(
    """
    SELECT EXISTS (SELECT 1 FROM targets t JOIN deliveries d ON d.destination_id = t.destination_id
                     AND d.run_id = t.run_id AND d.state IN ('pending', 'claimed') WHERE t.run_id = :run_id)
        OR EXISTS (SELECT 1 FROM deliveries WHERE run_id = :run_id AND state = 'dead')
        OR EXISTS (SELECT 1 FROM events WHERE run_id = :run_id AND id > :newest)
    """
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


@dataclass(frozen=True)
class Piece:
    """A part of a run that is deleted in one transaction.

    Attributes:
        run_id: The run.
        newest: Id of its newest event.
        deliveries: Ids of the deliveries to delete.
        events: How many events to delete, the oldest first.
    """

    run_id: str
    newest: int
    deliveries: Sequence[int]
    events: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.deliveries) + self.events


def prune(
    begin: Begin,
    before: datetime,
    now: datetime,
    *,
    given_up: bool,
    only: Collection[str] | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Pruned:
    """Delete the events and deliveries of runs that were delivered completely, and mark unreferenced blobs as removed.

    Args:
        begin: Begins a transaction.
        before: Only runs whose newest event is older than this.
        now: The current time.
        given_up: Also runs whose every destination was given up, whatever of them has arrived.
        only: Only these runs; None for all.
        pause: Called with seconds between two pieces.
    """
    with begin(read_only=True) as connection:
        runs = prunable.prunable(connection, before, now, going_on(connection, now), given_up=given_up)
        runs = [run for run in runs if only is None or run in only]
        pieces = list(_pieces(connection, set(runs)))
    pruned: set[str] = set()
    events = 0
    for share in _shares(pieces):
        with begin() as connection:
            for piece in share:
                if not _is_open(connection, piece):
                    events += delete_piece(connection, piece)
                    pruned.add(piece.run_id)
        pause(_PAUSE_SECONDS)
    with begin() as connection:
        unused = prunable.unreferenced(connection)
        prunable.mark_removed(connection, {row.sha256 for row in unused})
    return Pruned(len(pruned), events, len(unused), sum(row.size for row in unused))


def delete_runs(connection: Connection, runs: Collection[str]) -> None:
    """Delete the events and deliveries of a few runs."""
    for piece in _pieces(connection, set(runs)):
        delete_piece(connection, piece)


def delete_piece(connection: Connection, piece: Piece) -> int:
    """Delete a part of a run; return how many events that were."""
    for ids in batches(piece.deliveries):
        table = tables.attempts
        connection.execute(delete(table).where(table.c.delivery_id.in_(ids)))
        connection.execute(delete(_D).where(_D.c.id.in_(ids)))
    target = tables.targets
    staged = update(target).where(target.c.run_id == piece.run_id, target.c.stage < 1).values(stage=1)
    connection.execute(staged)
    oldest = select(_E.c.id).where(_E.c.run_id == piece.run_id, _E.c.id <= piece.newest).order_by(_E.c.id)
    return connection.execute(delete(_E).where(_E.c.id.in_(oldest.limit(piece.events)))).rowcount


def batches(ids: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    """Yield ids in batches: SQLite before 3.32 allows 999 parameters."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _pieces(connection: Connection, runs: Collection[str]) -> Iterator[Piece]:
    """Yield the parts of runs, the deliveries of each before its events, and the first ones first."""
    deliveries = _deliveries(connection, runs)
    for row in connection.execute(_EVENTS, {"runs": json.dumps([*runs])}).all():
        for ids in batches(deliveries.get(row.run_id, array("q")), _ROWS):
            yield Piece(row.run_id, row.newest, ids, 0)
        for start in range(0, row.amount, _ROWS):
            yield Piece(row.run_id, row.newest, (), min(_ROWS, row.amount - start))


def _deliveries(connection: Connection, runs: Collection[str]) -> Mapping[str, array[int]]:
    """Return the ids of the runs' deliveries, in order. A file has no index by run, so one scan serves all runs."""
    found: dict[str, array[int]] = {run: array("q") for run in runs}
    with connection.execute(_DELIVERIES, {"runs": json.dumps([*runs])}) as rows:
        for run_id, number in rows:
            found[run_id].append(number)
    return found


def _shares(pieces: Iterable[Piece]) -> Iterator[Iterator[Piece]]:
    """Yield the pieces in groups, each about as many rows as one transaction deletes."""
    before = 0

    def share(piece: Piece) -> int:
        nonlocal before
        before += piece.rows
        return (before - 1) // _ROWS

    return (group for _, group in groupby(pieces, share))


def _is_open(connection: Connection, piece: Piece) -> bool:
    """Return whether the run has something to send again, or new events."""
    return bool(connection.execute(_IS_OPEN, {"run_id": piece.run_id, "newest": piece.newest}).scalar())
