"""What a bench measures and how: rounds in turn, percentiles, ratios, targets."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """Where and how thoroughly a bench is to measure.

    Attributes:
        folder: An empty folder on the disk that is measured.
        quick: A few rounds only, to see that the bench works; its figures mean nothing.
    """

    folder: Path
    quick: bool = False

    def rounds(self, wanted: int) -> int:
        """Return how many rounds to run where `wanted` give a figure that can be trusted."""
        return 2 if self.quick else wanted


@dataclass(frozen=True)
class Row:
    """One thing measured.

    Attributes:
        name: What it was.
        p50: The median, in the table's unit.
        p95: What 95 of 100 readings were at least as good as, likewise.
        worst: The worst reading, likewise.
        count: How many readings.
        ratio: The median over the baseline's median; the baseline itself has 1.
    """

    name: str
    p50: float
    p95: float
    worst: float
    count: int
    ratio: float


@dataclass(frozen=True)
class Table:
    """Rows that were measured in turn with one another; the first is the baseline.

    Attributes:
        title: What the rows have in common.
        unit: What the figures are in.
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
    """A figure that the project set itself.

    Attributes:
        text: What it says.
        value: What was measured.
        limit: What it is held against.
        at_least: Whether the value must reach the limit, rather than stay within it.
    """

    text: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Result:
    """What a bench found, with what a reader must know to judge it."""

    tables: tuple[Table, ...]
    targets: tuple[Target, ...]
    notes: tuple[str, ...]


def in_turn(contenders: Mapping[str, Callable[[], Iterable[float]]], rounds: int) -> dict[str, list[float]]:
    """Run the contenders A, B, A, B, … and return each one's readings.

    Whatever changes on the machine meanwhile then falls on all of them. Each round begins with another contender, so
    that none always runs in the wake of the same one.
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
        unit: What the figures are in after scaling.
        readings: Of each row, as measured.
        scale: Factor from the readings to the unit, e.g. 1e6 from seconds to µs.
        more_is_better: Whether the worst reading is the lowest, as of rates.
    """
    baseline = statistics.median(next(iter(readings.values()))) * scale
    rows = [
        _row(name, [value * scale for value in values], baseline, more_is_better) for name, values in readings.items()
    ]
    return Table(title, unit, tuple(rows))


def _row(name: str, values: Sequence[float], baseline: float, more_is_better: bool) -> Row:
    """Summarise one row; its p95 is what 95 of 100 readings are at least as good as."""
    median = statistics.median(values)
    best_first = sorted(values, reverse=more_is_better)
    return Row(name, median, percentile(best_first, 0.95), best_first[-1], len(values), median / baseline)


def percentile(best_first: Sequence[float], part: float) -> float:
    """Return the first value that this part of the sorted values comes before or is (nearest rank)."""
    return best_first[max(0, math.ceil(len(best_first) * part) - 1)]


def seconds(action: Callable[[], object]) -> float:
    """Return how long a call took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
