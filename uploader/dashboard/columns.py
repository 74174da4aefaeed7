"""From what epochs and machines told to the columns that pages draw. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from uploader.dashboard.shown import Columns, Number

_MAIN = ("mAP50-95(P)", "mAP50-95(M)", "mAP50-95(B)", "accuracy_top1", "mIoU")
"""Endings of what Ultralytics judges its models by; where a task has boxes as well, its own comes first."""

_NONE = type(None)
_NUMBERS = {float, int, _NONE}


def columns(at: Sequence[float], times: Sequence[str | None], rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Return rows as columns. What is no number is None, as is what a row does not tell.

    Args:
        at: Where each row belongs.
        times: When each happened, or empty.
        rows: The values of each, by name.
    """
    told = {name: _numbers_of(column) for name, column in _by_name(rows).items()}
    values = {name: column for name, column in told.items() if any(value is not None for value in column)}
    return Columns(list(at), list(times), values, gaps=_gaps(at, rows, values))


def planned(epochs: int | None, step: int | None) -> int | None:
    """Return what a run's progress is measured by: None of a loop beyond its epochs, whose steps are smaller.

    Args:
        epochs: How many there are to be.
        step: The last one of a loop that counts steps, from 0; None where epochs are counted.
    """
    return None if step is not None and epochs is not None and step > epochs else epochs


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of rows by their names; most runs tell the same names in each, so that these need no look."""
    shapes = dict.fromkeys(map(tuple, rows))
    names = dict.fromkeys(chain.from_iterable(shapes))
    if len(shapes) == 1:
        told = [*chain.from_iterable(row.values() for row in rows)]
        return {name: told[place :: len(names)] for place, name in enumerate(names)}
    return {name: [row.get(name) for row in rows] for name in names}


def _gaps(
    at: Sequence[float], rows: Sequence[Mapping[str, Any]], values: Mapping[str, Sequence[Number]]
) -> dict[str, list[float]]:
    """Return where each column was told, but is no number."""
    found = {
        name: [place for place, row, value in zip(at, rows, column, strict=True) if value is None and name in row]
        for name, column in values.items()
        if None in column
    }
    return {name: places for name, places in found.items() if places}


def _numbers_of(column: list[Any]) -> list[Number]:
    """Return a column with None for what is no number; what is numbers alone, two quick looks tell."""
    types = {*map(type, column)}
    if types <= _NUMBERS and math.isfinite(sum(column if _NONE not in types else filter(None, column))):
        return column  # as no sum with one that is not finite is
    return [*map(number, column)]


def machine_columns(samples: Iterable[tuple[str, Any]]) -> Columns:
    """Return samples of a machine, as trainers tell them, as columns by Unix seconds.

    A value inside of others is named by all of them, such as `gpus/0/memory`; a disk's by its place as well:
    `disk/used_gb (/)`.

    Args:
        samples: When each was taken, ISO, and what it tells; those that cannot be read are left out.
    """
    found: dict[float, dict[str, Number]] = {}
    for time, told in samples:
        values = dict(_numbers("", told))
        if values and (seconds := _seconds(time)) is not None:
            found[seconds] = values
    at = sorted(found)
    return columns(at, (), [found[each] for each in at])


def evenly(values: Sequence[Any], most: int) -> Sequence[Any]:
    """Return at most so many of the values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return values
    step = (len(values) - 1) / (most - 1)
    return [values[round(place * step)] for place in range(most)]


def main_metric(names: Iterable[str]) -> str | None:
    """Return the metric that says best how good a model is, of those that it has; None if it has none."""
    found = list(dict.fromkeys(names))
    ranked = [name for ending in _MAIN for name in found if name.endswith(ending)]
    results = [name for name in found if name.startswith("metrics/")]
    losses = [name for name in found if name.startswith("val/")]
    return next(iter([*ranked, *results, *losses, *found]), None)


def number(value: Any) -> Number:
    """Return a finite number, or None for everything else."""
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return None  # most are floats, which one look tells
    return value if math.isfinite(value) else None


def _numbers(name: str, told: Any) -> Iterator[tuple[str, Number]]:
    if isinstance(told, Mapping):
        for key, value in told.items():
            yield from _numbers(f"{name}/{key}" if name else str(key), value)
    elif isinstance(told, (list, tuple)):
        for place, value in enumerate(told):
            if isinstance(value, Mapping) and "mount" in value:
                yield from ((f"{inner} ({value['mount']})", each) for inner, each in _numbers(name, value))
            else:
                yield from _numbers(f"{name}/{place}", value)
    elif name and (value := number(told)) is not None:
        yield name, value


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
    except (ValueError, AttributeError):
        return None
