"""The plots of a finished training as data: one per type, curves thinned to a common grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from journal.losses import Loss
from uploader.live.guard import optional

CURVE_POINTS = 101
"""Points per curve: steps of 0.01 on an axis from 0 to 1."""
MOST_NUMBERS = 2_000_000
"""Most numbers in a plot."""


def collect_plots(trainer: Any) -> list[dict[str, Any]]:
    """Return the data of the trainer's and the validator's plots, one per type.

    A plot of the trainer goes before one of the validator's of the same type, a newer one of the validator's before
    an older. The order is the platform's: the trainer's, then the validator's from the newest.
    """
    validator = getattr(trainer, "validator", None)
    chosen: dict[str, Mapping[str, Any]] = {data["type"]: data for data in _data(trainer)}
    for data in reversed(_data(validator)):
        chosen.setdefault(data["type"], data)
    if "pr_curve" in chosen:
        chosen["pr_curve"] = {**chosen["pr_curve"], **_partial_classes(validator)}
    made = (optional(f"the plot {kind}", partial(resample, plot)) for kind, plot in chosen.items())
    return [plot for plot in made if plot is not None]


def resample(plot: Mapping[str, Any], points: int = CURVE_POINTS) -> dict[str, Any]:
    """Return the plot with its curves interpolated linearly to `points` even steps of x.

    Args:
        plot: `x` of shape (n,) and `y` of shape (n,) or (curves, n); everything else, such as `ap` and `matrix`, is
            kept as it is. A plot without curves, or with no more than `points` points, is not changed.
        points: How many points to keep.
    """
    import numpy as np

    if any(plot.get(axis) is None or not len(plot[axis]) for axis in ("x", "y")):
        return dict(plot)
    x, y = np.asarray(plot["x"], dtype=float), np.asarray(plot["y"], dtype=float)
    if x.size <= points:
        return dict(plot)
    grid = np.linspace(x[0], x[-1], points)
    thinned = np.apply_along_axis(lambda curve: np.interp(grid, x, curve), -1, y)
    return {**plot, "x": grid.tolist(), "y": thinned.tolist()}


def without_large(plots: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Loss]]:
    """Return the plots that are small enough to be made into text, and what was left out.

    The confusion matrix of 1,200 classes has 1.4 million numbers; one of 5,000 would be 100 MB of text.
    """
    sizes = [(plot, sum(map(_count, plot.values()))) for plot in plots]
    losses = [Loss(f"plots ({plot.get('type')})", 1, size * 8) for plot, size in sizes if size > MOST_NUMBERS]
    return [plot for plot, size in sizes if size <= MOST_NUMBERS], losses


def _count(value: Any) -> int:
    """Return how many numbers there are in an array, or in lists of them."""
    if isinstance(value, (list, tuple)):
        nested = bool(value) and isinstance(value[0], (list, tuple))
        return sum(map(_count, value)) if nested else len(value)
    size = getattr(value, "size", 1)
    return size if isinstance(size, int) else 1


def _data(owner: Any) -> list[Mapping[str, Any]]:
    """Return the plots of a trainer or validator that carry data, and not only a picture."""
    entries = (getattr(owner, "plots", None) or {}).values()
    found = [entry.get("data") for entry in entries if isinstance(entry, Mapping)]
    return [data for data in found if isinstance(data, Mapping) and data.get("type")]


def _partial_classes(validator: Any) -> dict[str, list[int]]:
    """Return which classes the curves cover, if not all: they have rows only for classes with labels."""
    covered = getattr(getattr(validator, "metrics", None), "ap_class_index", None)
    if covered is None or len(covered) >= len(validator.names):
        return {}
    return {"classes": [int(index) for index in covered]}
