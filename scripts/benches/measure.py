"""How a bench measures: alternating rounds, percentiles, ratios, targets."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """Where and how thoroughly a bench measures.

    Attributes:
        folder: An empty folder on the disk that is measured.
        quick: A single round, to see that the bench works; its figures mean nothing.
    """

    folder: Path
    quick: bool = False

    def rounds(self, wanted: int) -> int:
        """Return how many rounds to run; `wanted` is how many a reliable figure needs."""
        return 1 if self.quick else wanted


@dataclass(frozen=True)
class Row:
    """One measured contender.

    Attributes:
        name: Its name.
        p50: The median, in the table's unit.
        p95: The value that 95 of 100 readings did not exceed, in the same unit.
        worst: The worst reading, in the same unit.
        count: The number of readings.
        ratio: The median divided by the baseline's median; 1 for the baseline itself.
    """

    name: str
    p50: float
    p95: float
    worst: float
    count: int
    ratio: float


@dataclass(frozen=True)
class Table:
    """Rows that were measured alternately; the first is the baseline.

    Attributes:
        title: What the rows have in common.
        unit: The unit of the figures.
        rows: At least one.
    """

    title: str
    unit: str
    rows: tuple[Row, ...]

    def ratio(self, name: str) -> float:
        """Return a row's ratio to the baseline."""
        return self.row(name).ratio

    def row(self, name: str) -> Row:
        """Return the row of this name."""
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True)
class Target:
    """A target that the project has set itself.

    Attributes:
        text: What is required.
        value: What was measured.
        limit: The required value.
        at_least: Whether the value must reach the limit instead of staying below it.
    """

    text: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Result:
    """What a bench measured, with notes that a reader needs to judge it."""

    tables: tuple[Table, ...]
    targets: tuple[Target, ...]
    notes: tuple[str, ...]


def in_turn(contenders: Mapping[str, Callable[[], Iterable[float]]], rounds: int) -> dict[str, list[float]]:
    """Run the contenders A, B, A, B, … and return each one's readings.

    So whatever changes on the machine meanwhile affects all of them. Each round begins with another contender, so
    that none always runs after the same one.
    """
    names = list(contenders)
    readings: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            readings[name].extend(contenders[name]())
    return readings


def table(
    title: str, unit: str, readings: Mapping[str, Sequence[float]], scale: float = 1.0, *, more_is_better: bool = False
) -> Table:
    """Summarise readings; the first is the baseline.

    Args:
        title: What the rows have in common.
        unit: The unit of the figures after scaling.
        readings: The readings of each row, as measured.
        scale: Factor from the readings to the unit, e.g. 1e6 from seconds to µs.
        more_is_better: Whether the lowest reading is the worst, as with rates.
    """
    baseline = statistics.median(next(iter(readings.values()))) * scale
    rows = [
        _row(name, [value * scale for value in values], baseline, more_is_better) for name, values in readings.items()
    ]
    return Table(title, unit, tuple(rows))


def _row(name: str, values: Sequence[float], baseline: float, more_is_better: bool) -> Row:
    """Summarise one row; 95 of 100 readings are at least as good as its p95."""
    median = statistics.median(values)
    best_first = sorted(values, reverse=more_is_better)
    return Row(name, median, percentile(best_first, 0.95), best_first[-1], len(values), median / baseline)


def percentile(best_first: Sequence[float], part: float) -> float:
    """Return the nearest-rank percentile of sorted values; `part` is between 0 and 1."""
    return best_first[max(0, math.ceil(len(best_first) * part) - 1)]


def seconds(action: Callable[[], object]) -> float:
    """Return how long a call took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
