"""What a loop logs as a plot: curves over a common axis, thinned where they have very many points. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from journal.encoding import plain

MOST_POINTS = 2_000
"""A curve with more points is thinned evenly; its first and its last one stay."""


def curves(x: Any, y: Any) -> dict[str, Any]:
    """Return a plot's members: `x`, and in `y` the values of each curve by its name.

    Args:
        x: Numbers.
        y: As many numbers, or several curves of them by name; of Python, numpy or torch.

    Raises:
        ValueError: They are no numbers, or not as many.
    """
    named = y if isinstance(y, Mapping) else {"": y}
    axis = _numbers("x", x)
    found = {str(name): _numbers(name or "y", values) for name, values in named.items()}
    for name, values in found.items():
        if len(values) != len(axis):
            raise ValueError(f"a plot has as many values as places: {len(axis)} in x, {len(values)} in {name or 'y'}")
    step = -(-len(axis) // MOST_POINTS)
    kept = sorted({*range(0, len(axis), step or 1), len(axis) - 1} - {-1})
    return {
        "x": [axis[index] for index in kept],
        "y": {name: [values[index] for index in kept] for name, values in found.items()},
    }


def _numbers(name: object, values: Any) -> list[float | None]:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    found = plain({"": values.tolist() if hasattr(values, "tolist") else [*values]})[""]
    if not all(value is None or isinstance(value, (int, float)) for value in found):
        raise ValueError(f"{name} of a plot is no list of numbers")
    return [float(value) if value is not None and math.isfinite(value) else None for value in found]
