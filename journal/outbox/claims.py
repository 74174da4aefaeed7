"""Deliveries that are taken to be sent: by one owner at a time, until its lease runs out, under a fence that grows.

What an overtaken owner reports is refused by its fence (`settling.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Label,
    Row,
    and_,
    bindparam,
    case,
    func,
    not_,
    null,
    or_,
    select,
    update,
)

from journal.clock import from_text, to_text
from journal.kinds import REGISTRATION
from journal.outbox.announcements import Announcement, announce
from journal.outbox.due import due, lapsed, ready, timely, waiting
from journal.outbox.fairness import QUEUES, SOON, first_of_each_name, interleave
from journal.records import LANES, Claim, Lane, Run
from journal.schema import plausible_times, tables
from journal.schema.neutral import is_named
from journal.sessions.identity import SALVAGE
from journal.sessions.liveness import live
from journal.storage.backend import Begin

UPLOAD_SPACING_SECONDS = 900.0
"""A live run's checkpoints are uploaded at most every 15 minutes, as the platform's own client does."""

_D = tables.deliveries
_T = tables.targets
_R = tables.runs
_S = tables.sessions
_E = tables.events
_TIMES = re.compile(r"[0-9T:.Z+-]{10,40} [0-9T:.Z+-]{10,40}")


@dataclass(frozen=True)
class Wanted:
    """What is to be taken of a lane.

    Attributes:
        lane: Small messages or uploads.
        limit: At most so many.
        max_bytes: At most so many bytes of messages, unless the first alone has more; None for no bound.
        first_queue: Index of the queue to start with; callers increment it from claim to claim, so that claims of a
            single delivery are spread over the queues, too.
        least_tried: Whether to prefer what was tried least, so that a delivery that always hangs is not reused as the
            probe.
    """

    lane: Lane
    limit: int
    max_bytes: int | None = None
    first_queue: int = 0
    least_tried: bool = False


@dataclass(frozen=True)
class HeldElsewhere:
    """What somebody else has taken.

    Attributes:
        owner: Who, for people.
        lane: Small messages or uploads.
        number: How many deliveries.
        until: When the first of the leases runs out unless it is renewed, ISO.
    """

    owner: str
    lane: Lane
    number: int
    until: str


class Claims:
    """The claims of a journal's deliveries. Each method is one transaction."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin

    def take(
        self,
        destination_id: int,
        *wanted: Wanted,
        owner: str,
        lease_seconds: float,
        now: datetime,
        run_ids: Sequence[str] | None = None,
        upload_spacing_seconds: float = UPLOAD_SPACING_SECONDS,
        default_project: str = "",
    ) -> list[Claim]:
        """Take due deliveries, for this owner alone until the lease runs out.

        Three queues give one each, one after the other: registrations in the order in which the runs were trained, what
        runs that are trained at this moment have to send, and all else.

        A delivery is due when its time has come, everything of a lower stage is settled, its run is registered at the
        destination (or it is the registration), and, for a checkpoint, when no earlier one of the run is open. While
        the session that saved it is alive, a checkpoint also waits until the last upload is
        `upload_spacing_seconds` ago, unless it is final. Two registrations of runs of one name are never under way at
        once, as a platform numbers them in the order in which they arrive.

        Args:
            destination_id: Where to.
            wanted: How many of which.
            owner: Who claims; shown to people.
            lease_seconds: How long they are ours without `renew`.
            now: The current time.
            run_ids: Only these runs, else all.
            upload_spacing_seconds: The least time between two uploads of one live run.
            default_project: Where registrations of runs that named no project go.
        """
        lease, spacing = timedelta(seconds=lease_seconds), timedelta(seconds=upload_spacing_seconds)
        values: dict[str, Any] = {"destination_id": destination_id, "run_ids": run_ids}
        values |= plausible_times.values(now, lease, soon=SOON, spaced_before=-spacing, leased_until=lease)
        with self._begin(concurrent=True) as connection:
            living = live(connection, now)
            values |= {"live_runs": living.runs, "live_sessions": living.sessions}
            rows = _chosen(connection, wanted, values)
            if not rows:
                return []
            _mark(connection, rows, owner, values)
            registrations = [row for row in rows if row.kind == REGISTRATION]
            announced = announce(connection, registrations, default_project) if registrations else {}
        return [_claim(row, announced.get(row.id, Announcement())) for row in rows]

    def renew(self, held: Sequence[Claim], *, lease_seconds: float, now: datetime) -> None:
        """Lengthen the leases of claims that are still ours."""
        until = to_text(now + timedelta(seconds=lease_seconds))
        ours = (_D.c.id == bindparam("delivery_id"), _D.c.fence == bindparam("held_fence"), _D.c.state == "claimed")
        claims = [{"delivery_id": claim.delivery_id, "held_fence": claim.fence} for claim in held]
        with self._begin(concurrent=True) as connection:
            if claims:
                connection.execute(update(_D).where(*ours).values(lease_until=until), claims)

    def let_go_of_unknown(self, owner: str, held: Sequence[Claim], *, now: datetime) -> None:
        """Make pending again what is claimed for an owner who does not know of it: the answer to that was lost.

        Args:
            owner: Who claims; no other has this name.
            held: What it knows of.
            now: The current time.
        """
        values = {
            "claimed_by": owner,
            "known_ids": json.dumps([claim.delivery_id for claim in held]),
            "now": to_text(now),
        }
        with self._begin(concurrent=True) as connection:
            connection.execute(_LET_GO, values)

    def next_due(
        self,
        destination_id: int,
        *,
        now: datetime,
        run_ids: Sequence[str] | None = None,
        lease_seconds: float = 0.0,
        upload_spacing_seconds: float = UPLOAD_SPACING_SECONDS,
    ) -> dict[Lane, datetime]:
        """Return the earliest time at which `take` would find something, for each lane that has anything nobody holds.

        It may be past, and then stands for any other that is. The arguments are those of `take`.
        """
        lease, spacing = timedelta(seconds=lease_seconds), timedelta(seconds=upload_spacing_seconds)
        values: dict[str, Any] = {"destination_id": destination_id, "run_ids": run_ids}
        values |= plausible_times.values(now, lease, spaced_before=-spacing)
        with self._begin(read_only=True) as connection:
            values["live_sessions"] = live(connection, now).sessions
            found = {lane: _awaited(connection, lane, values) for lane in LANES}
        due_at = partial(_due_at, spacing=spacing, believed=values["latest_now"])
        return {lane: min(map(due_at, rows)) for lane, rows in found.items() if rows}

    def held_elsewhere(
        self,
        destination_id: int,
        *,
        owner: str,
        now: datetime,
        lease_seconds: float,
        run_ids: Sequence[str] | None = None,
    ) -> list[HeldElsewhere]:
        """Return what others have taken of a shared journal's deliveries, and may be sending.

        Args:
            destination_id: Where to.
            owner: Who asks.
            now: The current time; what was taken and not renewed until then is nobody's any more.
            lease_seconds: As for `take`.
            run_ids: Only of these runs, else of all.
        """
        values = {"destination_id": destination_id, "claimed_by": owner, "run_ids": json.dumps(run_ids or ())}
        values |= plausible_times.values(now, timedelta(seconds=lease_seconds))
        query = _HELD if run_ids is None else _HELD.where(is_named(_D.c.run_id, "run_ids"))
        with self._begin(read_only=True) as connection:
            return [HeldElsewhere(*row) for row in connection.execute(query, values)]

    def take_over(self, now: datetime, *, is_alone: bool = True) -> int:
        """Let what is claimed, or waits, be tried at once, unless the platform asked for the wait; return how many.

        What waits longer than a platform may ask for was written before the clock was set back.

        Args:
            now: The current time.
            is_alone: Whether nobody else is at work, as for who holds the drain's lock. Otherwise nothing is changed:
                what is claimed and what waits is others', and their leases run out.
        """
        if not is_alone:
            return 0
        values = plausible_times.values(now)
        with self._begin() as connection:
            released = connection.execute(_RELEASE_ALL).rowcount
            due = {"due": values["now"], "longest_hold": values["latest_hold"]}
            return released + connection.execute(_MAKE_DUE, due).rowcount

    def end_waits(self, now: datetime) -> int:
        """Let what waits be tried at once, unless the platform asked for the wait; return how many.

        What is claimed stays with its owner.
        """
        values = plausible_times.values(now)
        with self._begin() as connection:
            due = {"due": values["now"], "longest_hold": values["latest_hold"]}
            return connection.execute(_MAKE_DUE, due).rowcount


_RELEASE_ALL = (
    update(_D).where(tables.is_open(_D), _D.c.state == "claimed").values(state="pending", owner=None, lease_until=None)
)
_LET_GO = (
    update(_D)
    .where(tables.is_open(_D), _D.c.state == "claimed", _D.c.owner == bindparam("claimed_by"))
    .where(not_(is_named(_D.c.id, "known_ids")))
    .values(state="pending", owner=None, lease_until=None, next_attempt_at=bindparam("now"))
)
_HELD = (
    select(_D.c.owner, _D.c.lane, func.count(), func.min(_D.c.lease_until))
    .where(tables.is_open(_D), _D.c.state == "claimed", _D.c.destination_id == bindparam("destination_id"))
    .where(_D.c.owner != bindparam("claimed_by"), ~lapsed())
    .group_by(_D.c.owner, _D.c.lane)
    .order_by(_D.c.owner, _D.c.lane)
)
_MAKE_DUE = (
    update(_D)
    .where(tables.is_open(_D), _D.c.state == "pending", _D.c.next_attempt_at > bindparam("due"))
    .where(or_(_D.c.held == 0, _D.c.next_attempt_at > bindparam("longest_hold")))
    .values(next_attempt_at=bindparam("due"))
)


def _chosen(connection: Connection, wanted: Sequence[Wanted], values: Mapping[str, Any]) -> list[Row[Any]]:
    """Return the rows of what may be sent now, lane by lane, in the order in which they are to go.

    Each is looked at again as it is locked, for registrations were not locked before: of one name all who claim at the
    same time choose the same one, and who locks it first has it.
    """
    chosen = [id_ for one in wanted for id_ in _choose(connection, one, values)]
    parameters = {**values, "ids": json.dumps(chosen)}
    by_id = {row.id: row for row in connection.execute(_BY_ID, parameters)} if chosen else {}
    return [by_id[id_] for id_ in chosen if id_ in by_id]


def _choose(connection: Connection, wanted: Wanted, values: Mapping[str, Any]) -> list[int]:
    """Return the ids of what may be sent now, in the order in which it is to go; at least one if any."""
    some_runs, parameters = values["run_ids"] is not None, {**values, "limit": wanted.limit}
    queues = [
        connection.execute(due(wanted.lane, queue, some_runs, wanted.least_tried), parameters).all() for queue in QUEUES
    ]
    registrations: Iterable[Row[Any]] = first_of_each_name(queues[0])
    if wanted.least_tried and len(queues[0]) > 1:
        registrations = sorted(registrations, key=lambda row: row.attempts)
    in_order = interleave([registrations, *queues[1:]], wanted.first_queue, wanted.limit)
    return _fitting(in_order, wanted.max_bytes)


def _fitting(rows: Iterable[Row[Any]], max_bytes: int | None) -> list[int]:
    """Return the ids of the first rows, as many as are no larger together, and at least one."""
    chosen: list[int] = []
    size = 0
    for row in rows:
        size += row.size
        if chosen and max_bytes is not None and size > max_bytes:
            break
        chosen.append(row.id)
    return chosen


def _awaited(connection: Connection, lane: Lane, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """Return one of the deliveries that are ready; where none is, those of which one will be the first."""
    some_runs = values["run_ids"] is not None
    return (
        connection.execute(ready(lane, some_runs), values).all()
        or connection.execute(waiting(lane, some_runs), values).all()
    )


def _due_at(upload: Row[Any], spacing: timedelta, believed: str) -> datetime:
    due_at = from_text(upload.next_attempt_at)
    is_spaced = upload.spaced and upload.last_upload_at <= believed
    return max(due_at, from_text(upload.last_upload_at) + spacing) if is_spaced else due_at


def _of_event(name: str, value: ColumnElement[Any], event: ColumnElement[int]) -> Label[Any]:
    """Return a column of an event or of its session, as a column of the delivery that covers the event."""
    chosen = select(value).join_from(_E, _S, _E.c.session_id == _S.c.id).where(_E.c.id == event)
    return chosen.scalar_subquery().label(name)


_BY_ID = (
    select(
        _D,
        _T.c.ids,
        _R.c.project,
        _R.c.name,
        _R.c.save_dir,
        _R.c.created_at.label("run_created_at"),
        _of_event("generation", _S.c.generation, _D.c.last_event),
        _of_event("began_at", _E.c.created_at, _D.c.first_event),
        _of_event("happened_at", _E.c.created_at, _D.c.last_event),
        # What was salvaged has the time of that, unless its own is known, which was before.
        _of_event("purpose", case((_E.c.created_at < _S.c.started_at, null()), else_=_S.c.purpose), _D.c.last_event),
    )
    .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
    .join(_R, _R.c.id == _D.c.run_id)
    .where(is_named(_D.c.id, "ids"), tables.is_open(_D), timely())
    .with_for_update(of=_D, skip_locked=True, key_share=True)
)
_MARK = (
    update(_D)
    .where(is_named(_D.c.id, "ids"))
    .values(state="claimed", owner=bindparam("claimed_by"), lease_until=bindparam("leased_until"))
    .values(fence=_D.c.fence + 1, attempts=_D.c.attempts + 1)
)


def _mark(connection: Connection, rows: Sequence[Row[Any]], owner: str, values: Mapping[str, Any]) -> None:
    """Mark the rows as claimed, each under its next fence."""
    ids = json.dumps([row.id for row in rows])
    connection.execute(_MARK, {"ids": ids, "claimed_by": owner, "leased_until": values["leased_until"]})
    for row in rows:
        if row.lane == "upload":
            here = (_T.c.run_id == row.run_id, _T.c.destination_id == row.destination_id)
            connection.execute(update(_T).where(*here).values(last_upload_at=values["now"]))


def _claim(row: Row[Any], announcement: Announcement) -> Claim:
    """Return the claim for a row as it was just before it was taken."""
    return Claim(
        delivery_id=row.id,
        chunk_id=row.chunk_id,
        run=Run(row.run_id, row.project, row.name, row.save_dir, row.run_created_at),
        destination_id=row.destination_id,
        ids=json.loads(row.ids),
        kind=row.kind,
        lane=row.lane,
        body=row.body,
        sha256=row.sha256,
        attempt=row.attempts + 1,
        fence=row.fence + 1,
        first_event=row.first_event,
        last_event=row.last_event,
        role=row.role,
        sessions=announcement.sessions,
        order=f"{row.generation} {row.span}" if row.span and row.generation else None,
        times=_times(row),
        former_projects=announcement.former_projects,
    )


def _times(row: Row[Any]) -> str | None:
    """Return when the events were recorded; None where what came in later has none, and for old rows."""
    times = f"{row.began_at} {row.happened_at}"
    return times if row.purpose != SALVAGE and _TIMES.fullmatch(times) else None
