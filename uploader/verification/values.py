"""How a value that was sent differs from the one that a platform shows. Pure.

Platforms keep JSON in columns of their own: a number may come back as a float or as text, and null not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

_LONGEST = 60
"""Characters of a value that are shown."""
_SAME = timedelta(seconds=1)
_FIRST_YEAR = 2020
"""A clock that shows an earlier one was never set."""
_SECONDS = "{:%Y-%m-%d %H:%M:%S} UTC"


def difference(sent: Any, shown: Any, path: str = "", *, exact: bool = True) -> str | None:
    """Return in words where two values differ first; None where they are the same.

    Args:
        sent: The value that was sent. A tuple lists several, of which one is to be there.
        shown: The value that the platform shows.
        path: Where in the item they are, for the words.
        exact: Whether an object may have no further members.
    """
    if isinstance(sent, tuple):
        return None if shown in sent else _words(" or ".join(map(str, sent)), shown, path)
    if isinstance(sent, Mapping) and isinstance(shown, Mapping):
        return _of_objects(sent, shown, path, exact=exact)
    if isinstance(sent, list) and isinstance(shown, list):
        return _of_lists(sent, shown, path)
    return None if _is_same(sent, shown) else _words(sent, shown, path)


def time_difference(happened_at: str, shown: str, arrived_at: str) -> str | None:
    """Return in words how a time differs from the one that a platform shows; None where they are the same.

    A platform corrects a time that lies ahead of its clock, or is of a clock that was never set, to the one of arrival.

    Args:
        happened_at: When it happened.
        shown: When it happened, as the platform shows it.
        arrived_at: When the first of the run arrived there, so that it believed all that lies before this.
    """
    ours, theirs, arrived = map(_moment, (happened_at, shown, arrived_at))
    if ours is None or theirs is None or arrived is None or ours.year < _FIRST_YEAR:
        return None
    if abs(ours - theirs) <= _SAME or theirs < ours > arrived:
        return None
    return f"{_SECONDS.format(theirs)} there, and {_SECONDS.format(ours)} here"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not accept the "Z"
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo else None


def _of_objects(sent: Mapping[str, Any], shown: Mapping[str, Any], path: str, *, exact: bool) -> str | None:
    further = [name for name in shown if exact and name not in sent and shown[name] is not None]
    if further:
        return f"{_joined(path, further[0])} is there, and was not sent"
    found = (difference(value, shown.get(name), _joined(path, name)) for name, value in sent.items())
    return next(filter(None, found), None)


def _of_lists(sent: list[Any], shown: list[Any], path: str) -> str | None:
    if len(sent) != len(shown):
        return f"{path or 'it'} has {len(shown)} entries there, and {len(sent)} here"
    found = (
        difference(one, other, f"{path}[{index}]") for index, (one, other) in enumerate(zip(sent, shown, strict=True))
    )
    return next(filter(None, found), None)


def _is_same(sent: Any, shown: Any) -> bool:
    if sent is None or shown is None:
        return sent is shown
    if isinstance(sent, bool) or isinstance(shown, bool):
        return _text(sent).lower() == _text(shown).lower()
    if any(isinstance(sent, kind) and isinstance(shown, kind) for kind in (str, (int, float))):
        return bool(sent == shown)
    return _text(sent) == _text(shown) or _number(sent) == _number(shown) is not None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _words(sent: Any, shown: Any, path: str) -> str:
    if shown is None:
        return f"{path or 'it'} is missing there"
    if isinstance(sent, str) and isinstance(shown, str) and max(len(sent), len(shown)) > _LONGEST:
        return f"{path or 'it'} has another text there"
    return f"{path or 'it'} is {_short(shown)} there, and {_short(sent)} here"


def _short(value: Any) -> str:
    text = _text(value) if value not in ("", []) else "empty"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
