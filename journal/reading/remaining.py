"""What of each run has not arrived yet at each of its destinations, and what keeps it.

Only what is open or was refused is looked at, by indexes of these alone: what has arrived is most of a journal, and it
takes a look at each delivery to count it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from journal.clock import from_text, to_text
from journal.kinds import FINAL, NOT_FOR_PLATFORMS, listed
from journal.outbox.claims import UPLOAD_SPACING_SECONDS
from journal.outbox.obstacles import ALL as IN_THE_WAY
from journal.outbox.obstacles import Obstacle, by_destination
from journal.outbox.verifications import Verification, verifications
from journal.records import MODEL_PAGE
from journal.schema import plausible_times
from journal.sessions.liveness import live_sessions

Key = tuple[str, int]
"""A run's uuid, and a destination's id."""

# Events that are for no platform do not count as waiting.
_UNPLANNED = f"""FROM events e
              WHERE e.run_id = t.run_id AND e.id > t.planned_through AND e.kind NOT IN ({listed(NOT_FOR_PLATFORMS)})"""
_TARGETS = text(
    f"""
    SELECT t.run_id, t.destination_id, d.platform, d.base_url, t.state, t.reason, t.ids, t.dropped_at,
           (SELECT count(*) {_UNPLANNED}) AS unplanned, (SELECT min(created_at) {_UNPLANNED}) AS oldest_at
    FROM targets t JOIN destinations d ON d.id = t.destination_id
    """  # noqa: S608 - names of this package
)
# What a drain of a shared journal has claimed goes when its lease ends; that of a file takes over what was claimed.
_NEXT = "CASE WHEN o.state = 'claimed' AND CAST(:is_shared AS BIGINT) = 1 THEN o.lease_until ELSE o.next_attempt_at END"
# Grouped in the order of the index, so that nothing is sorted: a sorter would hold all bodies in memory.
_OPEN = text(
    f"""
    SELECT x.*, failed.last_error
    FROM (SELECT o.run_id, o.destination_id, count(*) AS pending, min(o.created_at) AS oldest_at,
                 CAST(sum(coalesce(b.size, length(o.body))) AS BIGINT) AS bytes,
                 min(CASE WHEN NOT (o.lane = 'upload' AND o.role != '{FINAL}' AND o.fence = 0)
                          THEN {_NEXT} END) AS next_attempt_at,
                 max(CASE WHEN o.last_error IS NOT NULL THEN o.id END) AS failed_id
          FROM deliveries o LEFT JOIN blobs b ON b.sha256 = o.sha256
          WHERE o.state IN ('pending', 'claimed')
          GROUP BY o.destination_id, o.run_id) x
    LEFT JOIN deliveries failed ON failed.id = x.failed_id
    """  # noqa: S608 - names of this package
)
# Checkpoints whose uploads are spaced as long as the session that saved them is alive.
_SPACED = text(
    f"""
    SELECT d.run_id, d.destination_id, d.next_attempt_at, t.last_upload_at, e.session_id
    FROM deliveries d
    JOIN targets t ON t.run_id = d.run_id AND t.destination_id = d.destination_id
    LEFT JOIN events e ON e.id = d.first_event
    WHERE d.state IN ('pending', 'claimed') AND d.lane = 'upload' AND d.role != '{FINAL}' AND d.fence = 0
    """  # noqa: S608 - names of this package
)
_CHOSEN = """t.dropped_at IS NULL AND t.state != 'blocked'
      AND (CAST(:runs AS TEXT) IS NULL OR t.run_id IN (SELECT value FROM json_each(:runs)))"""
_LEFT = text(
    f"""
    SELECT count(*) + (SELECT CAST(coalesce(sum((SELECT count(*) {_UNPLANNED})), 0) AS BIGINT)
                       FROM targets t WHERE {_CHOSEN}) AS deliveries,
           CAST(coalesce(sum(coalesce(b.size, length(o.body))), 0) AS BIGINT) AS bytes
    FROM deliveries o JOIN targets t ON t.run_id = o.run_id AND t.destination_id = o.destination_id
    LEFT JOIN blobs b ON b.sha256 = o.sha256
    WHERE o.state IN ('pending', 'claimed') AND {_CHOSEN}
    """  # noqa: S608 - names of this module
)
_IS_VERIFIED = text("SELECT EXISTS (SELECT 1 FROM verifications)")
# The sign keeps SQLite from reading the whole table for that order.
_DEAD = text("SELECT id, run_id, destination_id, kind, last_error FROM deliveries WHERE state = 'dead' ORDER BY +id")


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was refused for good.

    Attributes:
        id: What `retry` and `drop` know it by.
        kind: What it is: an event's kind, or `checkpoint`.
        reason: Why, in the platform's words.
    """

    id: int
    kind: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What of one run has not arrived at one destination.

    Attributes:
        platform: Name of the platform's API.
        base_url: Where it is.
        state: `new`, `registered` or `blocked`.
        reason: Why it is blocked, else None.
        ids: What the platform called the run.
        unplanned: Events that no delivery was made for yet.
        pending: Deliveries still to be made.
        dead: Deliveries that the platform refused for good.
        dropped_at: When a person dropped the whole destination, ISO, else None.
        pending_bytes: Bytes of what is pending.
        oldest_at: Time of the oldest event or delivery that has not arrived, ISO, else None.
        next_attempt_at: When the next attempt is due, ISO, else None.
        is_spaced: Whether that is a checkpoint's, whose uploads are spaced while its run is trained.
        last_error: The newest error of what has not arrived, else None.
        dead_letters: What the platform refused for good, oldest first.
        verification: What reading it back there has shown the last time, None if nobody did.
        page: Where its model can be looked at there, as the platform has told it; None if it has not.
        obstacle: What a drain has found in the way of all that waits there, None if nothing or if nothing waits.
    """

    platform: str
    base_url: str
    state: str
    reason: str | None
    ids: Mapping[str, Any]
    unplanned: int
    pending: int
    dead: int
    dropped_at: str | None
    pending_bytes: int
    oldest_at: str | None
    next_attempt_at: str | None
    last_error: str | None
    is_spaced: bool = False
    dead_letters: tuple[DeadLetter, ...] = ()
    verification: Verification | None = None
    page: str | None = None
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class Left:
    """What is left to be delivered, of all runs together.

    Attributes:
        deliveries: How many, about: each event that is not planned yet counts as one.
        bytes: What those hold that are planned.
    """

    deliveries: int
    bytes: int


def left(connection: Connection, run_ids: Collection[str] | None) -> Left:
    """Return what is left of runs that no platform refuses.

    Args:
        connection: Any.
        run_ids: The runs; None for all.
    """
    row = connection.execute(_LEFT, {"runs": None if run_ids is None else json.dumps([*run_ids])}).one()
    return Left(row.deliveries, row.bytes)


def remaining(connection: Connection, now: datetime) -> Mapping[str, Mapping[int, Remaining]]:
    """Return what remains of each run at each of its destinations, by the run's uuid and the destination's id."""
    is_shared = {"is_shared": int(connection.dialect.name != "sqlite")}
    opened = {(row.run_id, row.destination_id): row for row in connection.execute(_OPEN, is_shared)}
    dead, uploads = _dead_letters(connection), _uploads_due(connection, now)
    verified = {(one.run_id, one.destination_id): one for one in _verifications(connection)}
    in_the_way = by_destination(facts) if (facts := connection.execute(IN_THE_WAY).all()) else {}
    found: dict[str, dict[int, Remaining]] = {}
    for row in connection.execute(_TARGETS):
        key = (row.run_id, row.destination_id)
        is_held_up = row.state != "blocked" and row.dropped_at is None and (row.unplanned or key in opened)
        obstacle = in_the_way.get(row.destination_id) if is_held_up else None
        beside = {"verification": verified.get(key), "obstacle": obstacle}
        one = _remaining(row, opened.get(key), dead.get(key, ()), uploads.get(key), now=now, beside=beside)
        found.setdefault(row.run_id, {})[row.destination_id] = one
    return found


def _remaining(
    row: Row[Any],
    opened: Row[Any] | None,
    dead: Sequence[DeadLetter],
    upload_due: str | None,
    *,
    now: datetime,
    beside: Mapping[str, Any],
) -> Remaining:
    ids = json.loads(row.ids)
    waits, due = (row.oldest_at, opened.oldest_at if opened else None), opened.next_attempt_at if opened else None
    return Remaining(
        platform=row.platform,
        base_url=row.base_url,
        state=row.state,
        reason=row.reason,
        ids=ids,
        page=page_of(ids),
        unplanned=row.unplanned,
        pending=opened.pending if opened else 0,
        dead=len(dead),
        dropped_at=row.dropped_at,
        pending_bytes=opened.bytes if opened else 0,
        oldest_at=min((at for at in waits if at), default=None),
        next_attempt_at=min((plausible_times.attempt_at(at, now) for at in (due, upload_due) if at), default=None),
        is_spaced=upload_due is not None and (due is None or upload_due < due),
        last_error=_last_error(opened, dead),
        dead_letters=tuple(dead),
        **beside,
    )


def page_of(ids: Mapping[str, Any]) -> str | None:
    """Return where a run's model can be looked at, by what its platform called the run.

    What sessions were told of it (`signals`) may lead elsewhere by now: a model that is made anew gets another page.
    """
    page = ids.get(MODEL_PAGE)
    return page if isinstance(page, str) and page else None


def _verifications(connection: Connection) -> Sequence[Verification]:
    """Return them, without a look at each delivery where there are none."""
    return verifications(connection) if connection.execute(_IS_VERIFIED).scalar() else ()


def _last_error(opened: Row[Any] | None, dead: Sequence[DeadLetter]) -> str | None:
    errors = [(one.id, one.reason) for one in dead if one.reason is not None]
    if opened and opened.failed_id is not None:
        errors.append((opened.failed_id, opened.last_error))
    return max(errors)[1] if errors else None


def _uploads_due(connection: Connection, now: datetime) -> Mapping[Key, str]:
    """Return when the next checkpoint that is not final is due, by run and destination."""
    live, spacing = set(live_sessions(connection, now)), timedelta(seconds=UPLOAD_SPACING_SECONDS)
    due: dict[Key, str] = {}
    for row in connection.execute(_SPACED):
        key, at = (row.run_id, row.destination_id), row.next_attempt_at
        if row.session_id in live and row.last_upload_at <= plausible_times.latest(now):
            at = max(at, to_text(from_text(row.last_upload_at) + spacing))
        due[key] = min(at, due.get(key, at))
    return due


def _dead_letters(connection: Connection) -> Mapping[Key, Sequence[DeadLetter]]:
    """Return the dead letters of each run at each destination."""
    found: dict[Key, list[DeadLetter]] = {}
    for row in connection.execute(_DEAD):
        letter = DeadLetter(row.id, row.kind, row.last_error)
        found.setdefault((row.run_id, row.destination_id), []).append(letter)
    return found
