"""Times as they are stored and told: ISO 8601 in UTC with milliseconds, so that their order is that of their text.

A training may be delivered days after it. So a message has two times: when it arrived here, by this server's clock, and
when what it tells of happened, by the clock of the machine that trained, if the client tells that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache

from uploader.server.http_errors import Invalid

HEADER = "Uploader-Times"
"""The header in which clients tell when what a message is about began and ended."""

_OLDEST = "2020"
"""Times before this are of machines whose clock was never set."""


def to_text(moment: datetime) -> str:
    """Return a time as it is stored."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=16)  # an epoch begins when the one before it ends
def from_text(text: str) -> datetime:
    """Return a stored time as a value."""
    # Python 3.10 does not accept the "Z".
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def checked(value: object, name: str) -> str:
    """Return a client's time as it is stored; without a zone it counts as UTC.

    Raises:
        Invalid: It is not an ISO 8601 time.
    """
    try:
        moment = from_text(str(value))
        return to_text(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))
    except (ValueError, OverflowError) as error:
        raise Invalid(f"'{name}' must be an ISO 8601 time") from error


@dataclass(frozen=True)
class When:
    """When a message arrived, and when what it tells of began and ended; all three are the same if nothing is told."""

    arrived: str
    begun: str
    happened: str

    @property
    def is_told(self) -> bool:
        """Whether the client told when it happened."""
        return self.happened != self.arrived


def when(header: str | None, arrived: str) -> When:
    """Return the times of a message. A time that is ahead of ours, or of a clock that was never set, is not believed.

    Args:
        header: The header: two ISO 8601 times, separated by a space; None or anything else tells nothing.
        arrived: When the message arrived.
    """
    parts = (header or "").split(" ")
    try:
        begun, happened = (min(checked(part, HEADER), arrived) for part in parts)
    except (Invalid, ValueError):
        return When(arrived, arrived, arrived)
    if happened < _OLDEST:
        return When(arrived, arrived, arrived)
    return When(arrived, begun if _OLDEST < begun < happened else happened, happened)
