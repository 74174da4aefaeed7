"""Times as the journal writes them: ISO 8601 text in UTC, to the microsecond, so that text order is time order."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

LONGEST_BACKOFF = timedelta(minutes=5)
"""The longest wait of our own after a failure."""
LONGEST_RETRY_AFTER = timedelta(hours=1)
"""The longest wait that a platform may ask for: its clock or its figure may be wrong."""
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_AS_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def to_text(moment: datetime) -> str:
    """Return an aware time as the journal's text.

    Raises:
        ValueError: The time has no zone, so which moment it is cannot be told.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be written to the journal")
    return moment.astimezone(timezone.utc).strftime(_FORMAT)


def to_the_second(moment: str) -> str:
    """Return the journal's text of a moment as people read it, to the second."""
    return f"{moment[:19]}Z" if _AS_WRITTEN.fullmatch(moment) else moment


def texts(now: datetime, **after: timedelta) -> dict[str, str]:
    """Return the texts of a moment, called `now`, and of others so and so long after it, by their names.

    Raises:
        ValueError: The time has no zone.
    """
    return {"now": to_text(now), **{name: to_text(now + wait) for name, wait in after.items()}}


def from_text(value: str) -> datetime:
    """Return the aware time that a row's text stands for."""
    if _AS_WRITTEN.fullmatch(value):  # the general way takes ten times as long
        return datetime.fromisoformat(value[:-1]).replace(tzinfo=timezone.utc)
    return datetime.strptime(value, _FORMAT).replace(tzinfo=timezone.utc)


def now_text() -> str:
    """Return the current time as the journal's text; on the hot path, so by the shortest way."""
    return f"{datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
