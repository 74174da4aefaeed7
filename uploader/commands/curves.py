"""A run's metrics as small charts side by side, as many as fit the terminal; drawn by plotext."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import click

from journal.kinds import EVALUATED, TRAINED, VALIDATED
from uploader.commands.terminal_text import cut, one_line, width

Columns = Mapping[str, Sequence[Any]]

CHARTS = 6
"""So many are drawn unless all are wanted."""
_HEIGHT = 7
_NARROWEST, _GAP, _MOST_BESIDE = 38, 3, 4
_COLOURS = ("cyan", "magenta")
_RESET = "\x1b[0m"
_TOGETHER = (("mAP50-95", "mAP50"), ("precision", "recall"), ("accuracy_top1", "accuracy_top5"))
"""Parts of names that are drawn in one chart; those that come first are drawn first."""
_NO_METRICS = frozenset({"epoch", "recorded_at", "fitness"})


@dataclass(frozen=True)
class Chart:
    """What is drawn in one chart.

    Attributes:
        title: What its lines have in common.
        lines: Values by what tells them apart, which is "" for a single one; None where there is no number.
        names: The metrics, as the trainer calls them.
    """

    title: str
    lines: Mapping[str, Sequence[float | None]]
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Look:
    """How charts are drawn.

    Attributes:
        columns: Width of the terminal.
        is_ascii: Whether no character but those of ASCII can be shown.
    """

    columns: int
    is_ascii: bool = False


def charts(columns: Columns) -> list[Chart]:
    """Return what is to be drawn: losses, of training and validation together, then metrics, then what is left.

    Args:
        columns: Of a table of epochs.
    """
    numbers = {name: _numbers(values) for name, values in columns.items() if name not in _NO_METRICS}
    known = {name: values for name, values in numbers.items() if any(value is not None for value in values)}
    found: dict[tuple[int, str], dict[str, str]] = {}
    for name in sorted(known, key=_rank):
        rank, title, label = _place(name)
        found.setdefault((rank, title), {})[label] = name
    return [
        Chart(title, {label: known[name] for label, name in named.items()}, tuple(named.values()))
        for (_, title), named in found.items()
    ]


def _rank(name: str) -> tuple[int, int]:
    """Return where a metric comes: losses keep their order, others go by what they tell."""
    rank, _, label = _place(name)
    together = (("train", "val"), *_TOGETHER)[rank] if rank <= len(_TOGETHER) else ()
    return rank, together.index(label) if label in together else 0


def _place(name: str) -> tuple[int, str, str]:
    """Return the rank and the title of a metric's chart, and what the metric is called there."""
    for start in (TRAINED, VALIDATED):
        if name.startswith(start):
            return 0, name.removeprefix(start), start.rstrip("/")
    bare = name.removeprefix(EVALUATED)
    for rank, parts in enumerate(_TOGETHER, start=1):
        if label := next((part for part in parts if part in bare), None):
            return rank, bare.replace(label, ""), label
    return len(_TOGETHER) + (1 if name.startswith(EVALUATED) else 2), bare, ""


def _numbers(values: Sequence[Any]) -> list[float | None]:
    return [float(value) if _is_number(value) else None for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def drawn(epochs: Sequence[int], wanted: Sequence[Chart], look: Look) -> list[str]:
    """Return the lines of some charts, side by side.

    Args:
        epochs: Their numbers, as people are told them.
        wanted: The charts.
        look: How they are drawn.
    """
    beside = max(1, min(_MOST_BESIDE, len(wanted), (look.columns + _GAP) // (_NARROWEST + _GAP)))
    columns = (look.columns + _GAP) // beside - _GAP
    made = [_block(epochs, chart, columns, is_ascii=look.is_ascii) for chart in wanted]
    rows = [made[first : first + beside] for first in range(0, len(made), beside)]
    return [line for row in rows for line in (*_joined(row, columns), "")][:-1]


def _joined(blocks: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    for parts in zip(*blocks, strict=True):
        padded = (part + " " * (columns - width(click.unstyle(part)) + _GAP) for part in parts)
        yield "".join(padded).rstrip()


def _block(epochs: Sequence[int], chart: Chart, columns: int, *, is_ascii: bool) -> list[str]:
    return [_title(chart, columns), *_plot(epochs, chart, columns, is_ascii=is_ascii)]


def _title(chart: Chart, columns: int) -> str:
    """Return a chart's title with the last value of each of its lines, in the line's colour."""
    told = [one_line(f"{label} {_last(values)}") for label, values in chart.lines.items()]
    parts: list[tuple[str, dict[str, Any]]] = [(one_line(chart.title), {"bold": True})] if chart.title else []
    parts += [(each, {"fg": _COLOURS[place % len(_COLOURS)]}) for place, each in enumerate(told)]
    line, left = "", columns
    for place, (text, style) in enumerate(parts):
        others = sum(width(other) + 2 for other, _ in parts[place + 1 :])
        text = cut(text, max(left - others, min(8, left)))  # noqa: PLW2901
        line, left = line + click.style(text, **style) + "  ", left - width(text) - 2
    return line.rstrip()


def _last(values: Sequence[float | None]) -> str:
    return next((f"{value:.4g}" for value in reversed(values) if value is not None), "")


def _plot(epochs: Sequence[int], chart: Chart, columns: int, *, is_ascii: bool) -> list[str]:
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.frame(False)
    plotext.plotsize(columns, _HEIGHT)
    known = [value for values in chart.lines.values() for value in values if value is not None]
    low, high = min(known), max(known)
    for place, values in enumerate(chart.lines.values()):
        marker, colour = ("*o"[place % 2] if is_ascii else "braille"), _COLOURS[place % len(_COLOURS)]
        for part in unbroken(epochs, [height(value, low, high) for value in values]):
            plotext.plot(*zip(*part, strict=True), marker=marker, color=colour)
    plotext.yticks([0, 1] if low < high else [0], [f"{low:.3g}", f"{high:.3g}"] if low < high else [f"{low:.3g}"])
    plotext.xticks([epochs[0], epochs[-1]], [str(epochs[0]), str(epochs[-1])])
    lines = plotext.build().rstrip("\n").split("\n")
    return [_trimmed(line) for line in lines]


def _trimmed(line: str) -> str:
    """Return a line without the spaces at its end; its colour ends with it, as the next chart is beside it."""
    bare = line.removesuffix(_RESET).rstrip()
    return bare + _RESET if "\x1b" in bare else bare


def height(value: float | None, low: float, high: float) -> float | None:
    """Return how high a value is between the lowest and the highest one, from 0 to 1: their difference may overflow."""
    whole = high / 2 - low / 2
    return None if value is None else (value / 2 - low / 2) / whole if whole else 0.0


def unbroken(epochs: Sequence[int], values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return the parts of a curve between the epochs without a number, which no line is to bridge."""
    points = zip(epochs, values, strict=True)
    parts = groupby(points, key=lambda point: point[1] is not None)
    return [[(epoch, value) for epoch, value in part if value is not None] for is_known, part in parts if is_known]
