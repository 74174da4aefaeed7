"""How a value that was sent differs from the one that a platform shows. Pure.

Platforms keep JSON in columns of their own: a number may come back as a float or as text, and null not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_LONGEST = 60
"""Characters of a value that are shown."""


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
    text = _text(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
