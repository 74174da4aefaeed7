"""How far ahead a stored time is believed: no further than the rule that wrote it could have meant.

A clock that was ahead for a moment leaves times in the journal that come true next year. Each time that something waits
for, or is taken for alive by, is written as "now", or so and so long after it. One that lies further ahead than that,
and than two clocks may differ, is not believed: the wait is over, the life unproven.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, case, or_

from journal.clock import LONGEST_BACKOFF, LONGEST_RETRY_AFTER, texts, to_text
from journal.schema import tables

SKEW = timedelta(minutes=2)
"""Two clocks that are right, or one that is being corrected, differ by no more."""
LEASE = timedelta(minutes=10)
"""The longest lease that a drain is taken to have asked for, unless it is our own and asks for a longer one."""

_D = tables.deliveries


def latest(now: datetime, ahead: timedelta = timedelta(0)) -> str:
    """Return the last time that is believed.

    Args:
        now: The current time.
        ahead: How far ahead the rule that wrote it may go.
    """
    return to_text(now + ahead + SKEW)


def values(now: datetime, lease: timedelta = LEASE, **after: timedelta) -> dict[str, str]:
    """Return the parameters of the conditions below.

    Args:
        now: The current time.
        lease: The longest that whoever asks may have given, if that is longer than usual.
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
    """Return the condition that a time is past, or not believed.

    Args:
        moment: The column.
        by: The parameter that it is compared with.
        believed: The parameter for the last time that is believed.
    """
    return or_(moment <= bindparam(by), moment > bindparam(believed))


def attempt_is_due(delivery: FromClause = _D) -> ColumnElement[bool]:
    """Return the condition that a delivery's next attempt need not be waited for."""
    return or_(
        has_come(delivery.c.next_attempt_at, believed="latest_hold"),
        and_(delivery.c.held == 0, delivery.c.next_attempt_at > bindparam("latest_backoff")),
    )


def next_attempt() -> ColumnElement[str]:
    """Return the time of a delivery's next attempt, as far as it is believed, else now."""
    return case((attempt_is_due(), bindparam("now")), else_=_D.c.next_attempt_at)


def attempt_at(moment: str, now: datetime) -> str:
    """Return a stored time of an attempt as it is shown: now, where it is further ahead than any could be."""
    return moment if moment <= latest(now, LONGEST_RETRY_AFTER) else to_text(now)
