"""Times as other programs write them: whatever is there, it is a time or none."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


def moment(seconds: Any, *, per_second: int = 1) -> datetime | None:
    """Return a time; None for what is none, such as text, nan, or a year that no calendar has.

    Args:
        seconds: Since 1970, or parts of seconds.
        per_second: How many parts a second has: 1,000 for milliseconds.
    """
    if not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds / per_second, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def of_message(stamp: Any) -> datetime | None:
    """Return the time of a protobuf timestamp."""
    return moment(stamp.seconds + stamp.nanos / 1e9)
