"""When the epochs of a `results.csv` ended. Pure.

It has the seconds since the trainer began, which begin again when a training is resumed; and what wrote the last row
has a time. So the times of the last session are known, and those of earlier ones are at the latest what is told here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

_MOST_SECONDS = 1e9


def epoch_times(seconds: Sequence[float | None], ended_at: datetime | None) -> list[datetime | None]:
    """Return when each epoch ended.

    Args:
        seconds: Of each epoch, since its session began.
        ended_at: When the last epoch ended.
    """
    times: list[datetime | None] = []
    at, after = ended_at, None
    for here in reversed(seconds):
        if at is not None and after is not None:
            at = _before(at, after if here is None or here > after else after - here)
        times.append(at)
        after = here
    return times[::-1]


def begun_at(seconds: Sequence[float | None], times: Sequence[datetime | None]) -> datetime | None:
    """Return when the first session began."""
    if not times or times[0] is None:
        return None
    return _before(times[0], seconds[0] or 0.0)


def _before(moment: datetime, seconds: float) -> datetime:
    try:
        return moment - timedelta(seconds=seconds) if 0 <= seconds < _MOST_SECONDS else moment
    except OverflowError:
        return moment
