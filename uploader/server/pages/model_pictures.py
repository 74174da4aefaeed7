"""Plots and images of a training, in the dashboard's terms. Pure functions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from uploader.dashboard.columns import number
from uploader.dashboard.shown import Picture
from uploader.dashboard.trainer_plots import trainer_plots
from uploader.server.storage.store_records import Medium

MOST = 100
"""How many images and logged plots are shown, at most, of one training."""

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def pictures(told: Any, class_names: Any, media: Sequence[Medium]) -> list[Picture]:
    """Return the plots of a training's end, then what was logged; what cannot be shown is left out."""
    logged = (_logged(each) for each in media)
    return [*trainer_plots(told, class_names), *(each for each in logged if each is not None)]


def _logged(medium: Medium) -> Picture | None:
    if medium.data.get("form") == "plot":
        plot = _plot(medium.data)
        return Picture(medium.name, medium.step, plot=plot) if plot else None
    image = _image(medium.data)
    return Picture(medium.name, medium.step, image=image) if image else None


def _image(data: dict[str, Any]) -> str | None:
    """Return an image as a URL in which its bytes stand; None for what is none."""
    try:
        content = base64.b64decode(str(data.get("data")), validate=True)
    except (binascii.Error, ValueError):
        return None
    if data.get("mime") not in _IMAGES:
        return None
    return f"data:{data['mime']};base64,{base64.b64encode(content).decode()}"


def _plot(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return a plot's axis and its lines; None if it has no point that can be drawn."""
    axis, lines = data.get("x"), data.get("y")
    if not isinstance(axis, list) or not isinstance(lines, dict):
        return None
    numbers = [number(each) for each in axis]
    drawn = {name: [number(each) for each in values] for name, values in lines.items() if isinstance(values, list)}
    kept = {name: values for name, values in drawn.items() if _has_a_point(numbers, values)}
    return {"x": numbers, "y": kept} if kept else None


def _has_a_point(axis: Sequence[Any], values: Sequence[Any]) -> bool:
    return any(x is not None and y is not None for x, y in zip(axis, values, strict=False))
