"""What a loop logs, as numbers by name and whatever else it told. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from journal.encoding import plain
from journal.handler_errors import raised_in_handler

_DEEPEST = 8
"""Mappings within each other are followed so far."""


@dataclass(frozen=True)
class Logged:
    """What was logged at once.

    Attributes:
        metrics: Numbers by name; None where one is not finite, as JSON has no word for it.
        not_finite: What those were: `nan`, `inf`, `-inf`.
        values: Everything that is no number, such as text and arrays.
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    not_finite: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Logged:
        """Return what an event tells; nothing of what is not as `payload` makes it."""
        parts = [payload.get(name) for name in ("metrics", "nonFinite", "values")]
        return cls(*(part if isinstance(part, dict) else {} for part in parts))

    def merged(self, later: Logged) -> Logged:
        """Return this with what was logged later in the place of what has the same name."""
        again = {*later.metrics, *later.values}
        return Logged(
            {**_without(self.metrics, again), **later.metrics},
            {**_without(self.not_finite, again), **later.not_finite},
            {**_without(self.values, again), **later.values},
        )

    def payload(self) -> dict[str, Any]:
        """Return the members of the event."""
        further = {"nonFinite": self.not_finite, "values": self.values}
        return {"metrics": dict(self.metrics), **{name: dict(value) for name, value in further.items() if value}}


def logged(values: Mapping[Any, Any]) -> Logged:
    """Return what a mapping tells; those within it are told as `outer/inner`.

    Args:
        values: Numbers, also numpy's and torch's, and anything else, by name.
    """
    metrics: dict[str, Any] = {}
    not_finite: dict[str, str] = {}
    others: dict[str, Any] = {}
    for name, value in _flat(values, "", _DEEPEST):
        number = _number(value)
        if number is None:
            others[name] = plain({"": value})[""]
        elif math.isfinite(number):
            metrics[name] = number
        else:
            metrics[name], not_finite[name] = None, str(number)
    return Logged(metrics, not_finite, others)


def in_text(name: Any) -> str:
    """Return a name as text; one of somebody's class may have none."""
    try:
        return str(name)
    except Exception as error:
        if raised_in_handler(error):
            raise
        return f"<{type(name).__name__}>"


def _flat(values: Mapping[Any, Any], before: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        full = f"{before}{in_text(name)}"
        if isinstance(value, Mapping) and depth:
            yield from _flat(value, f"{full}/", depth - 1)
        else:
            yield full, value


def _number(value: Any) -> int | float | None:
    """Return a number, also one of an array or tensor with a single one; None for anything else."""
    if isinstance(value, (bool, int, float)):
        return _of_python(value)
    if isinstance(value, (str, bytes, type)):
        return None
    try:
        found = value.item() if hasattr(value, "item") else value.__float__()
    except Exception as error:  # it has several, or none
        if raised_in_handler(error):
            raise
        return None
    return _of_python(found) if isinstance(found, (bool, int, float)) else None


def _of_python(value: Any) -> int | float | None:
    """Return a bool as 0 or 1, and no integer that no platform's number has room for."""
    if isinstance(value, float):
        return float(value)
    return int(value) if abs(value) < 1 << 63 else float(value) if abs(value) < 1 << 1000 else None


def _without(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
