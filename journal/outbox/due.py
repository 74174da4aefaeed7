"""Which deliveries are due: the conditions of `Claims.take`, one by one.

The statements are built once and cached: building one takes longer than running it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, false, func, or_, select

from journal.kinds import AFTER_END, FINAL, REGISTRATION, STATES
from journal.outbox.fairness import Queue
from journal.outbox.kept_out import is_passed
from journal.records import Lane
from journal.schema import plausible_times, tables

_D = tables.deliveries
_T = tables.targets
_R = tables.runs
_OTHER = _D.alias("earlier")
_OPEN_OF_RUN = exists().where(
    _OTHER.c.destination_id == _D.c.destination_id, _OTHER.c.run_id == _D.c.run_id, tables.is_open(_OTHER)
)
"""Whether other deliveries of the same run to the same destination are open."""


@cache
def due(lane: Lane, queue: Queue, some_runs: bool, least_tried: bool) -> Select[Any]:
    """Return the statement for id and size of what may be sent at `now`, of a queue.

    Not for the bodies, which are read of those alone that are taken: sorting would hold all of them in memory. Of
    registrations all that are open, as later runs of the same name may wait for them.

    Where others claim at the same time, as in a shared journal, what they have locked is left out, and what this finds
    is locked. Registrations are not: whoever chooses among them has to see all that are under way.
    """
    query = _sendable(lane, some_runs)
    size = func.length(_D.c.body).label("size")
    if queue == "registrations":
        is_soon = or_(
            _D.c.state == "claimed", plausible_times.attempt_is_due(), _D.c.next_attempt_at <= bindparam("soon")
        )
        query = query.add_columns(size, _D.c.attempts, _R.c.project, _R.c.name)
        query = query.add_columns(timely().label("timely"), is_soon.label("soon"))
        return query.where(_T.c.state == "new").order_by(tables.RUN_NUMBER)
    is_live = _D.c.run_id.in_(bindparam("live_runs", expanding=True))
    query = query.add_columns(size).where(timely(), is_live if queue == "live" else ~is_live)
    if lane == "upload":
        query = query.where(_is_far_enough())
    order = [_D.c.attempts, _D.c.id] if least_tried else [_D.c.id]
    query = query.where(_T.c.state != "new").order_by(*order).limit(bindparam("limit"))
    # An upload's target is changed with it, and planning changes a target before its deliveries.
    return query.with_for_update(of=[_D, _T] if lane == "upload" else _D, skip_locked=True, key_share=True)


def timely() -> ColumnElement[bool]:
    """Return the condition for deliveries whose wait is over, or whose lease has expired."""
    return or_(and_(_D.c.state == "pending", plausible_times.attempt_is_due()), lapsed())


def lapsed() -> ColumnElement[bool]:
    """Return the condition for claimed deliveries whose lease has expired."""
    return and_(_D.c.state == "claimed", plausible_times.has_come(_D.c.lease_until, believed="latest_lease"))


@cache
def ready(lane: Lane, some_runs: bool) -> Select[Any]:
    """Return the statement for one delivery that may be sent at `now`, the first that is met."""
    query = _waiting(lane, some_runs).where(timely())
    if lane == "upload":
        query = query.where(_is_far_enough())
    return query.order_by(_D.c.run_id, _D.c.stage).limit(1)  # as `ix_deliveries_open` has them


@cache
def waiting(lane: Lane, some_runs: bool) -> Select[Any]:
    """Return the statement for when pending deliveries are due where none is ready: each upload, and the first message.

    A message that is due and not ready waits for others, so only those that are not due are looked at.
    """
    query = _waiting(lane, some_runs)
    if lane == "upload":
        return query
    return query.where(~plausible_times.attempt_is_due()).order_by(_D.c.next_attempt_at).limit(1)


def _waiting(lane: Lane, some_runs: bool) -> Select[Any]:
    spaced = _is_spaced() if lane == "upload" else false()
    attempt = plausible_times.next_attempt().label("next_attempt_at")
    query = _sendable(lane, some_runs).where(or_(_D.c.state == "pending", lapsed()))
    return query.with_only_columns(attempt, _T.c.last_upload_at, spaced.label("spaced"))


def _is_far_enough() -> ColumnElement[bool]:
    """Return the condition for uploads that are not spaced, or whose run's last one is long enough ago."""
    return or_(~_is_spaced(), plausible_times.has_come(_T.c.last_upload_at, "spaced_before"))


def _sendable(lane: Lane, some_runs: bool) -> Select[Any]:
    """Return the statement for open deliveries that wait for nothing but their time.

    Uploads of a run go one after the other, so that an older checkpoint never arrives after a newer one; and so do
    messages of one role, of which a later one replaces what an earlier one told.
    """
    query = (
        select(_D.c.id)
        .join(_T, and_(_T.c.run_id == _D.c.run_id, _T.c.destination_id == _D.c.destination_id))
        .join(_R, _R.c.id == _D.c.run_id)
        .where(_D.c.destination_id == bindparam("destination_id"), _D.c.lane == lane, tables.is_open(_D))
        .where(_state_allows_it(), or_(_D.c.kind.not_in(AFTER_END), _is_over()))
    )
    if lane == "upload":
        query = query.where(~_OPEN_OF_RUN.where(_OTHER.c.lane == "upload", _OTHER.c.id < _D.c.id))
    else:
        earlier = _OPEN_OF_RUN.where(_OTHER.c.role == _D.c.role, _OTHER.c.id < _D.c.id)
        query = query.where(or_(_D.c.role.is_(None), ~earlier))
    return query.where(_D.c.run_id.in_(bindparam("run_ids", expanding=True))) if some_runs else query


def _is_over() -> ColumnElement[bool]:
    """Return the condition for deliveries of a run that is not trained at present, as far as the journal knows."""
    events = tables.events
    told = select(events.c.kind).where(events.c.run_id == _D.c.run_id, events.c.kind.in_(STATES))
    newest = told.order_by(events.c.id.desc()).limit(1).scalar_subquery()
    return newest.is_distinct_from(REGISTRATION)


def _state_allows_it() -> ColumnElement[bool]:
    """Return the condition for what the state of the run at the destination lets through.

    - new: its first registration only, not even what was recorded before it (the registration may have gone to a
      fallback file);
    - registered: everything whose lower stages are settled, except for what may be passed (`kept_out.py`);
    - blocked, but known there: the registration of its next session only, which may make it known again. It goes once
      nothing of the run is in flight, whose refusal would block the run once more, and not if it was refused for the
      very reason that blocks the run: then it waits for a person.
    """
    lower_stages = _OPEN_OF_RUN.where(_OTHER.c.stage < _D.c.stage, ~is_passed(_OTHER, _D))
    first_registration = ~_OPEN_OF_RUN.where(_OTHER.c.kind == REGISTRATION, _OTHER.c.id < _D.c.id)
    was_known = and_(_T.c.state == "blocked", _T.c.ids != "{}", _D.c.last_error.is_distinct_from(_T.c.reason))
    in_flight = _OPEN_OF_RUN.where(_OTHER.c.state == "claimed", _OTHER.c.id != _D.c.id)
    return or_(
        and_(_T.c.state == "registered", ~lower_stages),
        and_(_T.c.state == "new", _D.c.kind == REGISTRATION, first_registration),
        and_(was_known, _D.c.kind == REGISTRATION, first_registration, ~in_flight),
    )


def _is_spaced() -> ColumnElement[bool]:
    """Return the condition for a checkpoint that is spaced from the last upload: of a live session, not final.

    One that was begun before has kept it already.
    """
    of_live_session = exists().where(
        tables.events.c.id == _D.c.first_event,
        tables.events.c.session_id.in_(bindparam("live_sessions", expanding=True)),
    )
    return and_(_D.c.role != FINAL, _D.c.fence == 0, of_live_session)
