"""Which runs and destinations there are, and which run goes where."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from journal.outbox import dropping
from journal.outbox.targets import add_destination, add_target, targets
from journal.records import Destination, Run, Target
from journal.retention import prunable
from journal.schema import tables
from journal.storage.backend import Begin


class Routes:
    """Where a journal's runs go. Each method is one transaction."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin

    def destinations(self) -> list[Destination]:
        """Return all destinations."""
        with self._begin(read_only=True) as connection:
            return [Destination(**row._asdict()) for row in connection.execute(select(tables.destinations))]

    def add_destination(self, platform: str, base_url: str) -> Destination:
        """Return the destination, made if it is new."""
        with self._begin() as connection:
            return add_destination(connection, platform, base_url)

    def add(self, run_id: str, *destination_ids: int) -> None:
        """Send the run to all of the destinations or, when that fails, to none.

        One that was dropped is restored, any other that it has already is left as it is.
        """
        with self._begin() as connection:
            for destination_id in destination_ids:
                add_target(connection, run_id, destination_id)
                dropping.restore(connection, run_id, destination_id)

    def unbind(self, bound: Sequence[tuple[str, int]]) -> int:
        """Forget that these runs go to these destinations, by their ids, where nobody has taken anything of them.

        Return how many did not arrive anywhere there.
        """
        with self._begin() as connection:
            return sum(dropping.unbind(connection, run_id, destination_id) for run_id, destination_id in bound)

    def runs(self) -> list[Run]:
        """Return all runs, oldest first."""
        query = select(tables.runs).order_by(tables.runs.c.created_at)
        with self._begin(read_only=True) as connection:
            return [Run(**row._asdict()) for row in connection.execute(query)]

    def unrouted_runs(self, run_ids: Sequence[str] | None = None) -> list[Run]:
        """Return the runs (of those named) that go nowhere yet."""
        query = select(tables.runs).where(tables.runs.c.id.not_in(select(tables.targets.c.run_id)))
        if run_ids is not None:
            query = query.where(tables.runs.c.id.in_(run_ids))
        with self._begin(read_only=True) as connection:
            return [Run(**row._asdict()) for row in connection.execute(query)]

    def pruned_runs(self, destination_id: int) -> set[str]:
        """Return the runs that cannot arrive whole at this destination, which does not know them: they were pruned."""
        with self._begin(read_only=True) as connection:
            return prunable.pruned(connection, known_at=destination_id)

    def targets(
        self, *, destination_id: int | None = None, run_ids: Sequence[str] | None = None, dropped: bool = False
    ) -> list[Target]:
        """Return the (run, destination) pairs, oldest run first.

        Args:
            destination_id: Only those that go there.
            run_ids: Only those of these runs.
            dropped: Those that were dropped, too.
        """
        with self._begin(read_only=True) as connection:
            return targets(connection, run_ids, destination_id=destination_id, dropped=dropped)
