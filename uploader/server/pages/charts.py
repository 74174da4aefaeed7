"""SVG charts of a training's metrics. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from xml.etree.ElementTree import Element

from uploader.server.pages.markup import element
from uploader.server.storage.store_records import Epoch

Point = tuple[float, float]

_WIDTH, _HEIGHT = 360, 160
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 8, 20
_SPLITS = ("train", "val")
_MAX_CHARTS = 60


def charts(epochs: list[Epoch]) -> list[Element]:
    """Return one figure per metric; training and validation loss share a figure with two lines."""
    figures: dict[str, dict[str, list[Point]]] = {}
    for name, points in series(epochs).items():
        split, _, rest = name.partition("/")
        title = rest if split in _SPLITS and rest else name
        figures.setdefault(title, {})[name] = points
    return [figure(title, lines, _numbered) for title, lines in list(figures.items())[:_MAX_CHARTS]]


def series(epochs: Iterable[Epoch]) -> dict[str, list[Point]]:
    """Return the values of each metric by name, without epochs in which it is not a finite number."""
    found: dict[str, list[Point]] = {}
    for each in epochs:
        for name, value in (each.data.get("metrics") or {}).items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                found.setdefault(name, []).append((each.epoch, float(value)))
    return found


def figure(title: str, lines: dict[str, list[Point]], place: Callable[[float], str]) -> Element:
    """Return a figure of lines.

    Args:
        title: Its title.
        lines: Their points, at least one each, by the name of each line.
        place: Returns how a place on the horizontal axis is called.
    """
    drawing = element("svg", element("title", title), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img")
    drawing.extend(_axes([point for points in lines.values() for point in points], place))
    drawing.extend(_curves(lines))
    legend = " · ".join(f"{name} {points[-1][1]:.5g}" for name, points in lines.items())
    return element("figure", element("figcaption", element("b", title), " ", element("small", legend)), drawing)


def _numbered(epoch: float) -> str:
    """Return the number of an epoch as people count them."""
    return str(int(epoch) + 1)


def _axes(points: list[Point], place: Callable[[float], str]) -> list[Element]:
    first, last, low, high = _bounds(points)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    return [
        element("rect", x=_LEFT, y=_TOP, width=right - _LEFT, height=bottom - _TOP, class_="frame"),
        element("text", f"{high:.4g}", x=_LEFT - 4, y=_TOP + 8, text_anchor="end"),
        element("text", f"{low:.4g}", x=_LEFT - 4, y=bottom, text_anchor="end"),
        element("text", place(first), x=_LEFT, y=_HEIGHT - 6),
        element("text", place(last), x=right, y=_HEIGHT - 6, text_anchor="end"),
    ]


def _curves(lines: dict[str, list[Point]]) -> list[Element]:
    bounds = _bounds([point for points in lines.values() for point in points])
    curves = []
    for number, points in enumerate(lines.values()):
        places = [_place(point, bounds) for point in points]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        curves.append(element("polyline", points=text, class_=f"line{number % 2}"))
        # A line of a single point would be invisible, so the newest point is also drawn as a dot.
        x, y = places[-1]
        curves.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.5, class_=f"dot{number % 2}"))
    return curves


def _bounds(points: list[Point]) -> tuple[float, float, float, float]:
    epochs, values = [each[0] for each in points], [each[1] for each in points]
    return min(epochs), max(epochs), min(values), max(values)


def _place(point: Point, bounds: tuple[float, float, float, float]) -> tuple[float, float]:
    first, last, low, high = bounds
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    x = (point[0] - first) / (last - first) if last > first else 0.5
    # Halved first, because the difference of two huge values may overflow.
    y = (point[1] / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
    return _LEFT + x * width, _TOP + (1 - y) * height
