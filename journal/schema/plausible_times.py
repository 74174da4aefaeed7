"""Which stored times are plausible: none that is further ahead than the rule that wrote it allows.

A clock that was ahead for a moment leaves times in the journal that lie in the far future. Each time that something
waits for, or that shows that something is alive, was written as "now" or as a bounded time after it. If it is further
ahead than that bound plus the difference that two clocks may have, it is ignored: the wait is over, and nothing is
alive because of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, case, or_

from journal.clock import LONGEST_BACKOFF, LONGEST_RETRY_AFTER, texts, to_text
from journal.schema import tables

SKEW = timedelta(minutes=2)
"""The largest difference between two correct clocks, or of one that is being corrected."""
LEASE = timedelta(minutes=10)
"""The longest lease that other drains are assumed to ask for."""

_D = tables.deliveries


def latest(now: datetime, ahead: timedelta = timedelta(0)) -> str:
    """Return the latest plausible time.

    Args:
        now: The current time.
        ahead: How far ahead the rule that wrote it allows.
    """
    return to_text(now + ahead + SKEW)


def values(now: datetime, lease: timedelta = LEASE, **after: timedelta) -> dict[str, str]:
    """Return the parameters of the conditions below.

    Args:
        now: The current time.
        lease: The longest lease that the caller may have asked for, if longer than usual.
        after: Further moments, each so and so long after now.
    """
    return texts(
        now,
        latest_now=SKEW,
        latest_backoff=LONGEST_BACKOFF + SKEW,
        latest_hold=LONGEST_RETRY_AFTER + SKEW,
        latest_lease=max(LEASE, lease) + SKEW,
        **after,
    )


def has_come(moment: ColumnElement[str], by: str = "now", believed: str = "latest_now") -> ColumnElement[bool]:
    """Return the condition that a time is past, or implausible.

    Args:
        moment: The column.
        by: The parameter that it is compared with.
        believed: The parameter for the latest plausible time.
    """
    return or_(moment <= bindparam(by), moment > bindparam(believed))


def attempt_is_due(delivery: FromClause = _D) -> ColumnElement[bool]:
    """Return the condition that a delivery's next attempt need not be waited for."""
    return or_(
        has_come(delivery.c.next_attempt_at, believed="latest_hold"),
        and_(delivery.c.held == 0, delivery.c.next_attempt_at > bindparam("latest_backoff")),
    )


def next_attempt() -> ColumnElement[str]:
    """Return the time of a delivery's next attempt if it is plausible, else now."""
    return case((attempt_is_due(), bindparam("now")), else_=_D.c.next_attempt_at)


def attempt_at(moment: str, now: datetime) -> str:
    """Return a stored time of an attempt for display: now, if it is implausible."""
    return moment if moment <= latest(now, LONGEST_RETRY_AFTER) else to_text(now)
