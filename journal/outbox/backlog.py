"""Events that no delivery was planned for yet: which targets have any, and which."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, distinct, exists, func, or_, select

from journal.kinds import REGISTRATION
from journal.outbox import coverage
from journal.outbox.targets import TARGETS, from_row
from journal.records import Event, Run, Target
from journal.schema import plausible_times, tables
from journal.sessions import order
from journal.sessions.liveness import live
from journal.storage.backend import Begin

BYTES_AT_ONCE = 8 << 20
"""Events are read until their payloads add up to this many characters, so that large ones do not fill the memory."""

_D = tables.deliveries
_E = tables.events
_R = tables.runs
_T = tables.targets
_ALL = (1 << 31) - 1
"""As a limit: more targets than there are."""
_EVENTS = select(_E, tables.sessions.c.generation).join(tables.sessions, tables.sessions.c.id == _E.c.session_id)


@dataclass(frozen=True)
class Backlog:
    """The next events of a run.

    Attributes:
        events: In order.
        is_whole: Whether there were no more.
    """

    events: Sequence[Event]
    is_whole: bool


@dataclass(frozen=True)
class Unplanned(Backlog):
    """The next events of a target, and what their planning depends on.

    Attributes:
        last_event: Id of the run's newest event, whatever its kind.
        late: Ids of those events that newer ones, which came in before, have made old.
        generation: Of the session that the last planned event is of; 0 where there is none.
        before: The last planned events of the kinds that were asked for, in order.
        planned: Ids of events that were planned elsewhere: their deliveries came in from another journal.
        heads: Ids of events that are not to be joined to one before them; see `coverage.heads`.
    """

    last_event: int = 0
    late: frozenset[int] = frozenset()
    generation: int = 0
    before: Sequence[Event] = ()
    planned: frozenset[int] = frozenset()
    heads: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Selection:
    """Which events of a run matter at a destination.

    Attributes:
        kinds: Only those of these kinds; None for all.
        roles: Roles of the checkpoints; None for those that were published.
        context: How many of the last planned ones of a kind are wanted as well.
    """

    kinds: Collection[str] | None = None
    roles: Collection[str] | None = None
    context: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class First:
    """Targets that are planned before any other's backlog.

    Attributes:
        resumed: Of runs that the destination knows no more, with a session that was not announced.
        new: Of runs that it does not know yet, in the order in which they are to be registered.
        live: Of runs that are being trained.
    """

    resumed: Sequence[Target]
    new: Sequence[Target]
    live: Sequence[Target]


@dataclass(frozen=True)
class _Elsewhere:
    """Events of a target that were planned elsewhere, and when that was read.

    Attributes:
        times: How often results of other journals had come in.
        newest: Id of the run's newest event.
        events: Ids of the events.
        heads: Ids of events that are not to be joined to one before them.
    """

    times: int
    newest: int
    events: frozenset[int] = frozenset()
    heads: frozenset[int] = frozenset()


_NOTHING = _Elsewhere(0, 0)


class Backlogs:
    """The backlogs of a journal's targets. Each method is one transaction, which writes nothing."""

    def __init__(self, begin: Begin) -> None:
        """Use the connection on which `begin` begins a transaction."""
        self._begin = begin
        self._planned_elsewhere: dict[tuple[str, int], _Elsewhere] = {}

    def first(
        self, destination_id: int, *, registrations: int, now: datetime, run_ids: Sequence[str] | None = None
    ) -> First:
        """Return the targets there that go before all others.

        Args:
            destination_id: Where to.
            registrations: So many new runs may wait for their registration at a time.
            now: The current time.
            run_ids: Only these runs; None for all.
        """
        values = {"destination_id": destination_id, "run_ids": run_ids, **plausible_times.values(now)}
        with self._begin(read_only=True) as connection:
            resumed = _behind(connection, {**values, "state": "blocked"})
            left = registrations - registering(connection, values)
            new = _behind(connection, {**values, "state": "new"}, left) if left > 0 else []
            living = [run for run in live(connection, now).runs if run_ids is None or run in run_ids]
            watched = _behind(connection, {**values, "state": "registered", "run_ids": living}) if living else []
        return First(resumed, new, watched)

    def behind(
        self,
        destination_id: int,
        state: str,
        *,
        run_ids: Sequence[str] | None = None,
        after: Run | None = None,
        limit: int | None = None,
    ) -> list[Target]:
        """Return targets that have something to plan, oldest run first.

        Those with events that no delivery was planned for yet, and, where the platform does not know the run, without
        a registration that waits to be sent; of those that are blocked the ones that were known there and have a
        session that was not announced.

        Args:
            destination_id: Those that go there.
            state: Those in this state.
            run_ids: Only those of these runs.
            after: Begin with those of runs that were trained after this one; the others follow.
            limit: At most so many.
        """
        values = {"destination_id": destination_id, "state": state, "run_ids": run_ids}
        with self._begin(read_only=True) as connection:
            return _behind(connection, values, limit, after)

    def read(self, target: Target, limit: int, chosen: Selection, *, most_open: int | None = None) -> Unplanned | None:
        """Return what is to be planned next of a target.

        Args:
            target: The run at its destination.
            limit: At most so many events, and not many more than `BYTES_AT_ONCE`.
            chosen: Which events.
            most_open: None is returned where so many deliveries would be open if each event became one.
        """
        run_id, through = target.run.id, target.planned_through
        with self._begin(read_only=True) as connection:
            if most_open is not None and open_deliveries(connection, target) + limit > most_open:
                return None
            found = read(connection, run_id, through, limit, chosen.kinds)
            newest = 0 if chosen.kinds is None else last_event(connection, run_id)
            if not found.events:
                return Unplanned((), found.is_whole, newest)
            before = [
                event
                for kind, most in chosen.context.items()
                for event in newest_events(connection, run_id, kind, through, most)
            ]
            elsewhere = self._elsewhere(connection, target, found.events[-1].id)
            return Unplanned(
                found.events,
                found.is_whole,
                newest,
                order.overtaken(connection, run_id, found.events, chosen.roles),
                order.generation_at(connection, run_id, through),
                sorted(before, key=lambda event: event.id),
                elsewhere.events,
                elsewhere.heads,
            )

    def _elsewhere(self, connection: Connection, target: Target, newest: int) -> _Elsewhere:
        """Return what was planned elsewhere above `planned_through`, or before; read again when more came in."""
        times = coverage.times_taken_in(connection)
        if not times:
            return _NOTHING
        place = (target.run.id, target.destination.id)
        known = self._planned_elsewhere.get(place)
        if known is None or known.times != times or known.newest < newest:
            events = coverage.planned_events(connection, *place, target.planned_through)
            heads = coverage.heads(connection, *place)
            known = _Elsewhere(times, last_event(connection, target.run.id), events, heads)
            self._planned_elsewhere[place] = known
        return known


def read(connection: Connection, run_id: str, after: int, limit: int, kinds: Collection[str] | None) -> Backlog:
    """Return the run's next events above an id, in order.

    Args:
        connection: Any.
        run_id: The run.
        after: Id of the last event that is known.
        limit: At most so many, and not many more than `BYTES_AT_ONCE`.
        kinds: Only those of these kinds; None for all.
    """
    query = _EVENTS.where(_E.c.run_id == run_id, _E.c.id > after).order_by(_E.c.id).limit(limit)
    if kinds is not None:
        query = query.where(_E.c.kind.in_(kinds))
    events, size = [], 0
    with connection.execute(query) as rows:  # one that is not closed keeps its row, and the log from being folded
        for row in rows:
            events.append(Event(*row))
            size += len(events[-1].payload)
            if size >= BYTES_AT_ONCE:
                return Backlog(events, is_whole=False)
    return Backlog(events, is_whole=len(events) < limit)


def last_event(connection: Connection, run_id: str) -> int:
    """Return the id of the run's newest event, 0 when it has none."""
    return connection.execute(select(func.max(_E.c.id)).where(_E.c.run_id == run_id)).scalar_one() or 0


def newest_events(connection: Connection, run_id: str, kind: str, through: int, limit: int) -> list[Event]:
    """Return the run's newest events of a kind with ids up to `through`, in order, at most `limit`."""
    query = _EVENTS.where(_E.c.run_id == run_id, _E.c.kind == kind, _E.c.id <= through)
    found = connection.execute(query.order_by(_E.c.id.desc()).limit(limit))
    return [Event(*row) for row in found][::-1]


def open_deliveries(connection: Connection, target: Target) -> int:
    """Return how many deliveries of a target are pending or claimed."""
    values = {"run_id": target.run.id, "destination_id": target.destination.id}
    return int(connection.execute(_OPEN, values).scalar_one())


_OPEN = select(func.count()).where(
    _D.c.run_id == bindparam("run_id"), _D.c.destination_id == bindparam("destination_id"), tables.is_open(_D)
)


def registering(connection: Connection, values: Mapping[str, Any]) -> int:
    """Return how many runs wait for nothing but their registration, which is planned and due, or under way.

    Args:
        connection: Any.
        values: `destination_id`, `run_ids` (None for all), and what `plausible_times` takes.
    """
    return int(connection.execute(_registering(values["run_ids"] is not None), values).scalar_one())


def _behind(
    connection: Connection, values: Mapping[str, Any], limit: int | None = None, after: Run | None = None
) -> list[Target]:
    """Return targets that have something to plan; see `Backlogs.behind`."""
    statement = _having_backlog(values["run_ids"] is not None, after is not None)
    parameters = {**values, "limit": _ALL if limit is None else limit, "after": after and after.id}
    return [from_row(row) for row in connection.execute(statement, parameters)]


# The statements are built once and cached: building one takes longer than running it.


@cache
def _having_backlog(some_runs: bool, goes_round: bool) -> Select[Any]:
    """Return the statement for the targets that have something to plan.

    Nothing can be sent to a new one but its registration. Where that is planned already, its stage does not tell: what
    the registration went behind, when it was in a fallback file, has a stage too.
    """
    unplanned = exists().where(_E.c.run_id == _T.c.run_id, _E.c.id > _T.c.planned_through)
    is_resumed = and_(_T.c.ids != "{}", unplanned.where(_E.c.kind == REGISTRATION))
    registration = exists().where(
        _D.c.destination_id == _T.c.destination_id,
        _D.c.run_id == _T.c.run_id,
        _D.c.kind == REGISTRATION,
        tables.is_open(_D),
    )
    query = TARGETS.where(_T.c.destination_id == bindparam("destination_id"), _T.c.state == bindparam("state"))
    query = query.where(_T.c.dropped_at.is_(None), unplanned, ~and_(_T.c.state == "new", registration))
    query = query.where(or_(_T.c.state != "blocked", is_resumed)).limit(bindparam("limit"))
    if goes_round:
        number = select(tables.RUN_NUMBER).where(_R.c.id == bindparam("after")).scalar_subquery()
        query = query.order_by(None).order_by((number < tables.RUN_NUMBER).desc(), tables.RUN_NUMBER)
    return query.where(_T.c.run_id.in_(bindparam("run_ids", expanding=True))) if some_runs else query


@cache
def _registering(some_runs: bool) -> Select[Any]:
    """Return the statement of `registering`."""
    query = (
        select(func.count(distinct(_D.c.run_id)))
        .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
        .where(_D.c.destination_id == bindparam("destination_id"), _D.c.kind == REGISTRATION, tables.is_open(_D))
        .where(_T.c.state == "new", plausible_times.attempt_is_due())
    )
    return query.where(_D.c.run_id.in_(bindparam("run_ids", expanding=True))) if some_runs else query
