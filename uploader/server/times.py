"""Times as they are stored and told: ISO 8601 in UTC with milliseconds, so that their order is that of their text."""

from __future__ import annotations

from datetime import datetime, timezone

from uploader.server.http_errors import Invalid


def to_text(moment: datetime) -> str:
    """Return a time as it is stored."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
