"""Lengths of time, as people read and write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

AT_ONCE = "with the next drain"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_WRITTEN = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age_given(context: click.Context, option: click.Parameter, value: str | None) -> timedelta | None:
    """Return a length of time that ends now, such as 12h or 30d; end the command where a text is none."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+)([smhdw])", value)
    if not found:
        raise click.BadParameter(
            f"{value!r} is not an age; write a number and one of s, m, h, d, w, such as 30d", context, option
        )
    try:
        length = timedelta(**{_WRITTEN[found[2]]: int(found[1])})
        datetime.now(timezone.utc) - length
    except OverflowError:
        raise click.BadParameter(f"{value!r} is too long; dates begin with the year 1", context, option) from None
    return length


def age(moment: str) -> str:
    """Return how long ago an ISO time was."""
    return span(-_seconds_from_now(moment))


def when(moment: str) -> str:
    """Return in how long an ISO time will be; what is due already goes with the next drain."""
    seconds = _seconds_from_now(moment)
    return AT_ONCE if seconds <= 0 else f"in {span(seconds)}"


def span(seconds: float) -> str:
    """Return a time span in its largest whole unit."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return "0 s"


def _seconds_from_now(moment: str) -> float:
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (then - datetime.now(timezone.utc)).total_seconds()
