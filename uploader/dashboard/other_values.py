"""What epochs told that is no finite number, in words. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from uploader.dashboard.shown import ValueLine

MOST = 500
"""So many lines are shown at most."""
_LONGEST = 1000


def other_values(epochs: Iterable[tuple[int, Mapping[str, Any]]]) -> list[ValueLine]:
    """Return what epochs told that is no finite number, at most `MOST`.

    Args:
        epochs: The number of each, and what it told, the newest first.
    """
    return [line for epoch, told in epochs for line in values_of(epoch, told)][:MOST]


def values_of(epoch: int, told: Mapping[str, Any]) -> list[ValueLine]:
    """Return what an epoch told that is no finite number."""
    parts = (told.get("nonFinite"), told.get("values"))
    items = [item for part in parts if isinstance(part, Mapping) for item in part.items()]
    return [ValueLine(epoch, str(name), _in_words(value)) for name, value in items][::-1]


def _in_words(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
