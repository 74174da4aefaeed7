"""The drain's side of a journal: plan, claim, record.

One thread owns an `Outbox`. Each method is one transaction. Many drains may work on one journal at once: a claim is
leased until a time and numbered by a fence, and what an overtaken owner reports is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import DBAPIError

from journal.clock import to_text
from journal.errors import JournalUnwritable, from_sqlite
from journal.outbox import (
    backlog,
    claims,
    copies,
    dropping,
    kept_out,
    planning,
    rescheduling,
    routing,
    settling,
    targets,
)
from journal.outbox.backlog import Backlog
from journal.outbox.rescheduling import Revived
from journal.records import Claim, Destination, Event, Known, Lane, Outcome, PlannedDelivery, Run, Target
from journal.retention import prunable
from journal.schema import tables
from journal.sessions import order
from journal.sessions.liveness import live_runs
from journal.storage.connections import CountedConnection, is_severed
from journal.storage.folding import fold_wal

UPLOAD_SPACING_SECONDS = 900.0
"""A live run's checkpoints are uploaded at most every 15 minutes, as the platform's own client does."""

_D = tables.deliveries


class Outbox:
    """Deliveries of one journal. Every method raises a `JournalError` when the file cannot be used."""

    def __init__(self, engine: Engine, database: Path) -> None:
        """Connect; `close` disconnects."""
        self._database = database
        self._connection = engine.connect()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # --- where runs go

    def destinations(self) -> list[Destination]:
        """Return all destinations."""
        with self._read() as connection:
            return [Destination(**row._asdict()) for row in connection.execute(select(tables.destinations))]

    def add_destination(self, platform: str, base_url: str) -> Destination:
        """Return the destination, made if it is new."""
        with self._write() as connection:
            return routing.add_destination(connection, platform, base_url)

    def route(self, run_id: str, *destination_ids: int) -> None:
        """Send the run to all of the destinations or, when that fails, to none.

        One that was given up is taken up again, any other that it has already is left as it is.
        """
        with self._write() as connection:
            for destination_id in destination_ids:
                routing.add_target(connection, run_id, destination_id)
                dropping.take_up(connection, run_id, destination_id)

    def unbind(self, bound: Sequence[tuple[str, int]]) -> int:
        """Forget that these runs go to these destinations, by their ids, where nobody has taken anything of them.

        Return how many did not arrive anywhere there.
        """
        with self._write() as connection:
            return sum(dropping.unbind(connection, run_id, destination_id) for run_id, destination_id in bound)

    def runs(self) -> list[Run]:
        """Return all runs, oldest first."""
        with self._read() as connection:
            return targets.runs(connection)

    def live_runs(self, now: datetime) -> list[str]:
        """Return the ids of the runs that are being trained, as far as is known."""
        with self._read() as connection:
            return live_runs(connection, now)

    def unrouted_runs(self, run_ids: Sequence[str] | None = None) -> list[Run]:
        """Return the runs (of those named) that go nowhere yet."""
        with self._read() as connection:
            return targets.unrouted_runs(connection, run_ids)

    def model_of_another(self, claim: Claim, model_id: object) -> str | None:
        """Return the name of another run that the claim's destination calls by the same id, else None."""
        with self._read() as connection:
            return targets.model_of_another(connection, claim, model_id)

    def pruned_runs(self, destination_id: int) -> set[str]:
        """Return the runs that cannot arrive whole at this destination, which does not know them: they were pruned."""
        with self._read() as connection:
            return prunable.pruned(connection, known_at=destination_id)

    def targets(
        self,
        *,
        destination_id: int | None = None,
        run_ids: Sequence[str] | None = None,
        behind: bool = False,
        state: str | None = None,
        after: Run | None = None,
        limit: int | None = None,
        dropped: bool = False,
    ) -> list[Target]:
        """Return the (run, destination) pairs, oldest run first.

        Args:
            destination_id: Only those that go there.
            run_ids: Only those of these runs.
            behind: Only those to plan: with events that no delivery was planned for yet, and, where the platform does
                not know the run, without a registration that waits to be sent; of those that are blocked the ones
                that were known there and have a session that was not announced.
            state: Only those in this state.
            after: Begin with those of runs that were trained after this one; the others follow.
            limit: At most so many.
            dropped: Those that were given up, too.
        """
        with self._read() as connection:
            return targets.targets(
                connection,
                destination_id,
                run_ids,
                behind=behind,
                state=state,
                after=after,
                limit=limit,
                dropped=dropped,
            )

    def registering(self, destination_id: int, *, run_ids: Sequence[str] | None = None, now: datetime) -> int:
        """Return how many runs wait there for nothing but their registration, which is planned and due."""
        with self._read() as connection:
            return targets.registering(connection, destination_id, run_ids, now)

    # --- planning

    def backlog(self, run_id: str, *, after: int, limit: int, kinds: Collection[str] | None = None) -> Backlog:
        """Return the run's events with ids above `after`, in order.

        Args:
            run_id: The run.
            after: Id of the last event that is known.
            limit: At most so many, and not many more than `backlog.BYTES_AT_ONCE`.
            kinds: Only those of these kinds; None for all.
        """
        with self._read() as connection:
            return backlog.read(connection, run_id, after, limit, kinds)

    def last_event(self, run_id: str) -> int:
        """Return the id of the run's newest event, 0 when it has none."""
        with self._read() as connection:
            return backlog.last_event(connection, run_id)

    def newest_events(self, run_id: str, kind: str, *, through: int, limit: int) -> list[Event]:
        """Return the run's newest events of a kind with ids up to `through`, in order, at most `limit`."""
        with self._read() as connection:
            return backlog.newest_events(connection, run_id, kind, through, limit)

    def overtaken(self, run_id: str, events: Sequence[Event], roles: Collection[str] | None) -> frozenset[int]:
        """Return the ids of those events that newer ones, which came in before, have made old.

        Args:
            run_id: The run.
            events: Of `backlog`.
            roles: Roles of the checkpoints that matter; None for those that were published.
        """
        with self._read() as connection:
            return order.overtaken(connection, run_id, events, roles)

    def generation_at(self, run_id: str, event_id: int) -> int:
        """Return the generation of the run's last event up to this id, 0 where there is none."""
        with self._read() as connection:
            return order.generation_at(connection, run_id, event_id)

    def is_elsewhere(self) -> bool:
        """Return whether the journal lies elsewhere than it was made, so that it may be an older copy."""
        with self._read() as connection:
            return copies.is_elsewhere(connection, self._database)

    def known(self, run_id: str) -> Known:
        """Return what the journal holds of a run."""
        with self._read() as connection:
            return copies.known(connection, run_id)

    def open_deliveries(self, run_id: str, destination_id: int) -> int:
        """Return how many deliveries are pending or claimed there."""
        with self._read() as connection:
            return planning.open_deliveries(connection, run_id, destination_id)

    def plan(self, target: Target, planned: Sequence[PlannedDelivery], *, through: int, stage: int) -> int:
        """Fix deliveries for the target's events up to `through`; return how many rows were made.

        A pending upload that is not final is superseded by a later one, because a platform shows one model per run.

        Raises:
            StaleClaim: Another drain planned for this target meanwhile, or a person gave it up; nothing was written.
        """
        with self._write() as connection:
            planning.plan(connection, target, planned, through=through, stage=stage)
        return len(planned)

    # --- claiming and recording

    def claim(
        self,
        destination_id: int,
        *,
        lane: Lane,
        limit: int,
        owner: str,
        lease_seconds: float,
        now: datetime,
        run_ids: Sequence[str] | None = None,
        max_bytes: int | None = None,
        first_queue: int = 0,
        least_tried: bool = False,
        upload_spacing_seconds: float = UPLOAD_SPACING_SECONDS,
        default_project: str = "",
    ) -> list[Claim]:
        """Take due deliveries, for this owner alone until the lease runs out.

        In turns: first registrations in the order in which the runs were trained, then what runs that are trained at
        this moment have to send, then all else.

        A delivery is due when its time has come, everything of a lower stage is settled, its run is registered at the
        destination (or it is the registration), and, for a checkpoint, when no earlier one of the run is open. While
        the session that saved it is alive, a checkpoint also waits until the last upload is
        `upload_spacing_seconds` ago, unless it is final. Two registrations of runs of one name are never under way at
        once, as a platform numbers them in the order in which they arrive.

        Args:
            destination_id: Where to.
            lane: Small messages or uploads.
            limit: At most so many.
            owner: Who claims; shown to people.
            lease_seconds: How long they are ours without `renew`.
            now: The current time.
            run_ids: Only these runs, else all.
            max_bytes: At most so many bytes of messages, unless the first alone has more; None for no bound.
            first_queue: Counted on from claim to claim, so that claims of a single delivery take turns, too.
            least_tried: Whether those go first that were tried least: a single one that the platform never answers is
                not what it is to be probed with again.
            upload_spacing_seconds: The least time between two uploads of one live run.
            default_project: Where registrations of runs that named no project go.
        """
        with self._write() as connection:
            found = claims.find_due(
                connection,
                destination_id,
                lane=lane,
                limit=limit,
                now=now,
                run_ids=run_ids,
                upload_spacing=timedelta(seconds=upload_spacing_seconds),
                max_bytes=max_bytes,
                lease_seconds=lease_seconds,
                first_queue=first_queue,
                least_tried=least_tried,
            )
            claims.take(connection, found, owner, now, lease_seconds)
            claims.note_projects(connection, found, default_project)
            sessions = claims.sessions_of(connection, found)
            former = claims.former_projects(connection, found)
        return [claims.from_row(row, sessions, former) for row in found]

    def renew(self, held: Sequence[Claim], *, lease_seconds: float, now: datetime) -> None:
        """Lengthen the leases of claims that are still ours."""
        until = to_text(now + timedelta(seconds=lease_seconds))
        with self._write() as connection:
            for claim in held:
                connection.execute(
                    update(_D)
                    .where(_D.c.id == claim.delivery_id, _D.c.fence == claim.fence, _D.c.state == "claimed")
                    .values(lease_until=until)
                )

    def record(self, finished: Sequence[Outcome], *, now: datetime) -> list[Outcome]:
        """Write what attempts came to, all in one transaction; return those that another drain has overtaken."""
        if not finished:
            return []
        with self._write() as connection:
            return settling.record(connection, finished, to_text(now))

    def reclaim(self) -> int:
        """Make every claimed delivery pending again; for the holder of the drain's lock, when it starts."""
        with self._write() as connection:
            return rescheduling.reclaim(connection)

    def make_due(self, now: datetime) -> int:
        """Let deliveries that wait be tried at once, except where the platform asked for the wait.

        What waits longer than a platform may ask for was written before the clock was set back.
        """
        with self._write() as connection:
            return rescheduling.make_due(connection, now)

    def revive(self, delivery_ids: Sequence[int] | None = None, run_ids: Sequence[str] = ()) -> Revived:
        """Give dead letters (these, or all) that nothing newer replaced another life, and unblock their runs (or all).

        Args:
            delivery_ids: The dead letters; None for all.
            run_ids: Runs that are unblocked in any case.

        Raises:
            UnknownRow: One of them is no dead letter; none was revived.
        """
        with self._write() as connection:
            return rescheduling.revive(connection, delivery_ids, run_ids)

    def next_due(
        self,
        destination_id: int,
        *,
        lane: Lane,
        now: datetime,
        run_ids: Sequence[str] | None = None,
        upload_spacing_seconds: float = UPLOAD_SPACING_SECONDS,
    ) -> datetime | None:
        """Return the earliest time at which `claim` would find something pending, else None; it may be past."""
        spacing = timedelta(seconds=upload_spacing_seconds)
        with self._read() as connection:
            return claims.next_due(
                connection, destination_id, lane=lane, now=now, run_ids=run_ids, upload_spacing=spacing
            )

    def may_be_skipped(self, claim: Claim, roles: Collection[str] | None = None) -> bool:
        """Return whether the claimed checkpoint need not arrive, and its bytes may be gone.

        A later one is delivered in its place, or it was given up.

        Args:
            claim: Of a checkpoint.
            roles: Roles of the checkpoints that its destination is sent; None for those that were published.
        """
        with self._read() as connection:
            return rescheduling.may_be_skipped(connection, claim, roles)

    def is_kept_out(self, claim: Claim) -> bool:
        """Return whether something in between lets others through and this delivery not; see `kept_out`."""
        with self._read() as connection:
            return kept_out.is_kept_out(connection, claim)

    def require_in_place(self) -> None:
        """Check that the database is where it was opened.

        Raises:
            JournalUnwritable: It was removed or replaced; what is written goes into a file without a name.
        """
        driver = self._driver()
        if driver.is_cut_off or is_severed(self._database, driver.file):
            raise JournalUnwritable(
                f"{self._database}, or its log, was removed or replaced while it was in use; a training that still "
                "writes makes it anew with its run. Run the command again for what is there now"
            )

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        try:
            return fold_wal(self._driver())
        except sqlite3.Error as error:
            raise from_sqlite(error, self._database) from error

    def _driver(self) -> CountedConnection:
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, CountedConnection)
        return driver

    @contextmanager
    def _write(self, *, read_only: bool = False) -> Iterator[Connection]:
        connection = self._connection.execution_options(read_only=read_only)
        try:
            with connection.begin():
                yield connection
        except (DBAPIError, sqlite3.Error) as error:
            raise from_sqlite(error, self._database) from error

    def _read(self) -> AbstractContextManager[Connection]:
        return self._write(read_only=True)
