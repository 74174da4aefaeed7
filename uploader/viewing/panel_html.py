"""The panel of a run as HTML that stands alone: no script, no request, and light or dark as the reader has it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from uploader.dashboard.columns import evenly
from uploader.dashboard.page_templates import rendered
from uploader.dashboard.shown import Columns, DestinationLine, Number, RunLine, RunNews

_WIDTH, _HEIGHT, _EDGE = 150.0, 36.0, 3.0
_CURVES = 6
_POINTS = 100


@dataclass(frozen=True)
class Curve:
    """A small curve.

    Attributes:
        name: Of the metric.
        last: Its last value, as text.
        points: For an SVG of 150 by 36; empty where there are fewer than two values.
    """

    name: str
    last: str
    points: str


def panel_html(news: RunNews | None, title: str, missing: str = "") -> str:
    """Return the panel.

    Args:
        news: All that the run's page tells; None while there is no run.
        title: What is looked at, while there is none.
        missing: Which run there is not, in words; empty where there is none at all.
    """
    line = news.line if news else None
    if news is None or line is None:
        return rendered("panel.html", line=None, title=title, missing=missing)
    return rendered(
        "panel.html",
        line=line,
        title=title,
        share=_share(line),
        left=time_left(line, news.epochs),
        curves=curves(news.epochs),
        more=max(0, len(news.epochs.values) - _CURVES),
        places=[_place(one) for one in news.facts.destinations] if news.facts else [],
    )


def curves(epochs: Columns) -> list[Curve]:
    """Return the curves that say most: how good the model is, then what it loses in validation and in training."""
    named = sorted(epochs.values, key=_rank)[:_CURVES]
    return [_curve(name, epochs.values[name]) for name in named]


def time_left(line: RunLine, epochs: Columns) -> str | None:
    """Return how long the rest takes, by the median of the last ten epochs; None where that cannot be known.

    Not by their mean, since between two sessions nobody trained.
    """
    known = [_moment(each) for each in epochs.times[-11:] if each]
    took = sorted(later - earlier for earlier, later in pairwise(known))
    if line.state != "running" or not line.epochs_planned or not took:
        return None
    return _span(took[(len(took) - 1) // 2] * max(0, line.epochs_planned - line.far))


def _rank(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Return where a metric stands: by what it tells, then by its name, whose numbers count as numbers."""
    starts = ("metrics/mAP50-95", "metrics/", "val/", "train/")
    place = next((place for place, start in enumerate(starts) if name.startswith(start)), len(starts))
    parts = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
    return (len(starts) + 1 if name == "lr" else place), parts


def _curve(name: str, values: Sequence[Number]) -> Curve:
    told = [(place, float(value)) for place, value in enumerate(values) if value is not None]
    last = f"{told[-1][1]:.4g}" if told else "none"
    return Curve(name.removeprefix("metrics/"), last, " ".join(_points(evenly(told, _POINTS))) if len(told) > 1 else "")


def _points(told: Sequence[tuple[int, float]]) -> list[str]:
    first, last = told[0][0], told[-1][0]
    low, high = min(value for _, value in told), max(value for _, value in told)
    # Halved first, because the difference of two huge values may overflow.
    room = (high / 2 - low / 2) or 1.0
    return [
        f"{_EDGE + (place - first) / (last - first) * (_WIDTH - 2 * _EDGE):.1f},"
        f"{_HEIGHT - _EDGE - (value / 2 - low / 2) / room * (_HEIGHT - 2 * _EDGE):.1f}"
        for place, value in told
    ]


def _share(line: RunLine) -> int | None:
    return min(100, round(100 * line.far / line.epochs_planned)) if line.epochs_planned else None


def _place(one: DestinationLine) -> str:
    left = f", {one.left} on the way" if one.left else ""
    return f"{one.name}: {one.standing}{left}"


def _moment(time: str) -> float:
    try:
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
