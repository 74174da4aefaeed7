"""What platforms have taken of a node's runs, told between its journal and a shared one.

A node that drains its journal itself tells what has arrived before its events come in, so that no drain of the shared
journal sends it again; and what these have delivered is told to the node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select

from journal.folder import Journal
from journal.outbox import results_intake, run_results
from journal.outbox.run_results import Results
from journal.schema import tables

_D = tables.deliveries
_T = tables.targets

Marks = Mapping[str, Sequence[Any]]
"""What changes by run when there are other results."""


def marks(connection: Connection, runs: Collection[str]) -> Marks:
    """Return what tells that results of runs have changed, of the runs of which a platform has heard."""
    found: dict[str, list[Any]] = {}
    places = select(_T.c.run_id, _T.c.destination_id, _T.c.ids, _T.c.state, _T.c.dropped_at)
    for row in connection.execute(places.where(_T.c.run_id.in_(runs)).order_by(_T.c.destination_id)):
        if row.state != "new" or row.dropped_at:
            found.setdefault(row.run_id, []).append(tuple(row))
    settled = select(_D.c.run_id, func.count(), func.max(_D.c.settled_at), func.max(_D.c.attempts))
    here = (_D.c.run_id.in_(sorted(found)), _D.c.settled_at.is_not(None))
    for run_id, *counts in connection.execute(settled.where(*here).group_by(_D.c.run_id)):
        found[run_id].append(tuple(counts))
    return found


class Telling:
    """Knows which of a journal's results were told to another one."""

    def __init__(self) -> None:
        """None were."""
        self._told: dict[str, Sequence[Any]] = {}

    def changed(self, journal: Journal, runs: Collection[str]) -> tuple[list[Results], Marks]:
        """Return the results of runs that were not told yet, and what to hand to `note` once they are."""
        with journal.begin(read_only=True) as connection:
            found = {run: one for run, one in marks(connection, runs).items() if self._told.get(run) != one}
            return [run_results.read(connection, run) for run in found], found

    def note(self, told: Marks) -> None:
        """Note that results were told."""
        self._told |= told

    def note_all(self, journal: Journal, runs: Collection[str]) -> None:
        """Note that all that is there need not be told: it is from whom it would be told to, or was told."""
        with journal.begin(read_only=True) as connection:
            self._told |= marks(connection, runs)


def bring(outbox: Journal, results: Collection[Results], *, has_events: bool) -> list[str]:
    """Bring a node's results into the shared journal; return in words what does not fit.

    Args:
        outbox: The shared journal.
        results: Of the node's runs.
        has_events: Whether their events are in.
    """
    refused = []
    for one in results:
        with outbox.begin() as connection:
            told = replace(one, sessions=())  # how far these are is told when their events are there
            refused += results_intake.take_in(connection, told, has_events=has_events).refused
    return refused


def learn(node: Journal, results: Collection[Results]) -> list[str]:
    """Have a node learn what has arrived; return in words the runs that are another model here than there."""
    others = []
    for one in results:
        with node.begin() as connection:
            others += results_intake.learn(connection, one)
    return others
