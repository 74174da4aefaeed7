"""The drain's side of a journal: plan, claim, record.

One thread owns an `Outbox`. Each method is one transaction. Many drains may work on one journal at once: a claim is
leased until a time and numbered by a fence, and what an overtaken owner reports is refused.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, exists, func, or_, select, update
from sqlalchemy.exc import DBAPIError

from journal import claims, outcomes, planning, routing, tables
from journal.clock import now_text, to_text
from journal.engine import fold_wal
from journal.errors import from_sqlite
from journal.liveness import live_runs
from journal.records import (
    Claim,
    Destination,
    Event,
    Lane,
    Outcome,
    PlannedDelivery,
    Run,
    State,
    Target,
)

UPLOAD_SPACING_SECONDS = 900.0
"""A live run's checkpoints are uploaded at most every 15 minutes, as the platform's own client does."""

_LONGEST_HOLD = timedelta(days=1)
_D = tables.deliveries
_T = tables.targets
_E = tables.events


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

    def route(self, run_id: str, destination_id: int) -> None:
        """Send the run to the destination; doing so again changes nothing."""
        with self._write() as connection:
            routing.add_target(connection, run_id, destination_id)

    def runs(self) -> list[Run]:
        """Return all runs, oldest first."""
        with self._read() as connection:
            query = select(tables.runs).order_by(tables.runs.c.created_at)
            return [Run(**row._asdict()) for row in connection.execute(query)]

    def live_runs(self, now: datetime) -> list[str]:
        """Return the ids of the runs that are being trained, as far as is known."""
        with self._read() as connection:
            return live_runs(connection, now)

    def unrouted_runs(self, run_ids: Sequence[str] | None = None) -> list[Run]:
        """Return the runs (of those named) that go nowhere yet."""
        query = select(tables.runs).where(tables.runs.c.id.not_in(select(_T.c.run_id)))
        if run_ids is not None:
            query = query.where(tables.runs.c.id.in_(run_ids))
        with self._read() as connection:
            return [Run(**row._asdict()) for row in connection.execute(query)]

    def targets(
        self,
        *,
        destination_id: int | None = None,
        run_ids: Sequence[str] | None = None,
        behind: bool = False,
    ) -> list[Target]:
        """Return the (run, destination) pairs, oldest run first.

        Args:
            destination_id: Only those that go there.
            run_ids: Only those of these runs.
            behind: Only those with events that no delivery was planned for yet.
        """
        query = (
            select(_T, tables.runs, tables.destinations)
            .join(tables.runs, tables.runs.c.id == _T.c.run_id)
            .join(tables.destinations, tables.destinations.c.id == _T.c.destination_id)
            .order_by(tables.runs.c.created_at)
        )
        if destination_id is not None:
            query = query.where(_T.c.destination_id == destination_id)
        if run_ids is not None:
            query = query.where(_T.c.run_id.in_(run_ids))
        if behind:
            query = query.where(exists().where(_E.c.run_id == _T.c.run_id, _E.c.id > _T.c.planned_through))
        with self._read() as connection:
            return [_target(row) for row in connection.execute(query)]

    # --- planning

    def events(self, run_id: str, *, after: int, limit: int, kinds: Collection[str] | None = None) -> list[Event]:
        """Return the run's events with ids above `after`, in order.

        Args:
            run_id: The run.
            after: Id of the last event that is known.
            limit: At most so many.
            kinds: Only those of these kinds; None for all.
        """
        query = select(_E).where(_E.c.run_id == run_id, _E.c.id > after).order_by(_E.c.id).limit(limit)
        if kinds is not None:
            query = query.where(_E.c.kind.in_(kinds))
        with self._read() as connection:
            return [Event(*row) for row in connection.execute(query)]

    def last_event(self, run_id: str) -> int:
        """Return the id of the run's newest event, 0 when it has none."""
        query = select(func.max(_E.c.id)).where(_E.c.run_id == run_id)
        with self._read() as connection:
            return connection.execute(query).scalar_one() or 0

    def newest_events(self, run_id: str, kind: str, *, through: int, limit: int) -> list[Event]:
        """Return the run's newest events of a kind with ids up to `through`, in order, at most `limit`."""
        query = select(_E).where(_E.c.run_id == run_id, _E.c.kind == kind, _E.c.id <= through)
        with self._read() as connection:
            found = connection.execute(query.order_by(_E.c.id.desc()).limit(limit))
            return [Event(*row) for row in found][::-1]

    def open_deliveries(self, run_id: str, destination_id: int) -> int:
        """Return how many deliveries are pending or claimed there."""
        query = select(func.count()).where(
            _D.c.run_id == run_id, _D.c.destination_id == destination_id, tables.is_open(_D)
        )
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def plan(self, target: Target, planned: Sequence[PlannedDelivery], *, through: int, stage: int) -> int:
        """Fix deliveries for the target's events up to `through`; return how many rows were made.

        A pending upload that is not final is superseded by a later one, because a platform shows one model per run.

        Raises:
            StaleClaim: Another drain planned for this target meanwhile; nothing was written.
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
        upload_spacing_seconds: float = UPLOAD_SPACING_SECONDS,
    ) -> list[Claim]:
        """Take due deliveries, for this owner alone until the lease runs out.

        A delivery is due when its time has come, everything of a lower stage is settled, its run is registered at the
        destination (or it is the registration), and, for a checkpoint, when no earlier one of the run is open. While
        the session that saved it is alive, a checkpoint also waits until the last upload is
        `upload_spacing_seconds` ago, unless it is final.

        Args:
            destination_id: Where to.
            lane: Small messages or uploads.
            limit: At most so many.
            owner: Who claims; shown to people.
            lease_seconds: How long they are ours without `renew`.
            now: The current time.
            run_ids: Only these runs, else all.
            upload_spacing_seconds: The least time between two uploads of one live run.
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
            )
            claims.take(connection, found, owner, now, lease_seconds)
        return [claims.from_row(row) for row in found]

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
            return outcomes.record(connection, finished, to_text(now))

    def reclaim(self) -> int:
        """Make every claimed delivery pending again; for the holder of the drain's lock, when it starts."""
        return self._update_open("claimed", {"state": "pending", "owner": None, "lease_until": None})

    def make_due(self, now: datetime) -> int:
        """Let deliveries that wait be tried at once, except where the platform asked for the wait.

        No platform asks for more than a day: what waits longer was written before the clock was set back.
        """
        waits = _D.c.next_attempt_at > to_text(now)
        is_ours = or_(_D.c.held == 0, _D.c.next_attempt_at > to_text(now + _LONGEST_HOLD))
        return self._update_open("pending", {"next_attempt_at": to_text(now)}, waits, is_ours)

    def revive(self, delivery_ids: Sequence[int] | None = None) -> int:
        """Give dead letters (these, or all) another life, and unblock their runs; return how many."""
        chosen = _D.c.state == "dead"
        if delivery_ids is not None:
            chosen = chosen & _D.c.id.in_(delivery_ids)
        with self._write() as connection:
            pairs = connection.execute(select(_D.c.run_id, _D.c.destination_id).where(chosen).distinct()).all()
            for run_id, destination_id in pairs:
                routing.unblock(connection, run_id, destination_id)
            values = {"state": "pending", "next_attempt_at": now_text(), "settled_at": None, "held": 0}
            return connection.execute(update(_D).where(chosen).values(values)).rowcount

    def next_due(
        self,
        destination_id: int,
        *,
        now: datetime,
        run_ids: Sequence[str] | None = None,
        upload_spacing_seconds: float = UPLOAD_SPACING_SECONDS,
    ) -> datetime | None:
        """Return the earliest time at which `claim` would find something pending, else None; it may be past."""
        spacing = timedelta(seconds=upload_spacing_seconds)
        with self._read() as connection:
            return claims.next_due(connection, destination_id, now=now, run_ids=run_ids, upload_spacing=spacing)

    def has_newer_checkpoint(self, claim: Claim) -> bool:
        """Return whether a later checkpoint is delivered in place of the claimed one, whose bytes may then be gone."""
        query = select(func.count()).where(
            _E.c.run_id == claim.run.id,
            _E.c.kind == "checkpoint",
            _E.c.id > claim.last_event,
            or_(func.json_extract(_E.c.payload, "$.publish") == 1, _E.c.key == claim.role),
        )
        with self._read() as connection:
            return bool(connection.execute(query).scalar_one())

    def fold_wal(self) -> bool:
        """Fold the write-ahead log back into the database; False when another process was in the way."""
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        try:
            return fold_wal(driver)
        except sqlite3.Error as error:
            raise from_sqlite(error, self._database) from error

    def _update_open(self, state: State, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> int:
        with self._write() as connection:
            chosen = (tables.is_open(_D), _D.c.state == state, *conditions)
            return connection.execute(update(_D).where(*chosen).values(values)).rowcount

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


def _target(row: Row[Any]) -> Target:
    run = Run(row.run_id, row.project, row.name, row.save_dir, row.created_at)
    destination = Destination(row.destination_id, row.platform, row.base_url)
    return Target(run, destination, row.state, row.reason, json.loads(row.ids), row.planned_through, row.stage)
