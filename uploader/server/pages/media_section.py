"""What a loop has logged beside its numbers: images and plots, and values that no curve can show."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element

from uploader.server.pages.charts import Point, figure
from uploader.server.pages.markup import element, table
from uploader.server.pages.page_parts import section
from uploader.server.storage.store_records import Epoch, Medium

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MOST_VALUES = 500
_LONGEST_VALUE = 1000


def media_section(media: list[Medium], more: int) -> list[Element]:
    """Return a section with images and plots; none where there is nothing.

    Args:
        media: The newest.
        more: How many there are beside these.
    """
    shown = [part for part in map(_shown, media) if part is not None]
    note = [element("p", f"{more} of earlier steps are not shown here; the API has them.")] if more > 0 else []
    return [section("Images and plots", element("div", *shown, class_="charts"), *note)] if shown else []


def values_section(epochs: Iterable[Epoch]) -> list[Element]:
    """Return a collapsed table of what is no finite number, newest first; none where there is nothing."""
    rows = [row for each in epochs for row in _values(each)][::-1][:_MOST_VALUES]
    if not rows:
        return []
    shown = table(["Epoch", "Name", "Value"], rows)
    return [element("section", element("details", element("summary", "Other values"), shown))]


def _values(epoch: Epoch) -> list[list[Element | str]]:
    parts = (epoch.data.get("nonFinite"), epoch.data.get("values"))
    told = [item for part in parts if isinstance(part, dict) for item in part.items()]
    return [[str(epoch.epoch + 1), name, _in_words(value)] for name, value in told]


def _in_words(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _shown(medium: Medium) -> Element | None:
    title = f"{medium.name}, epoch {medium.step + 1}"
    if medium.data.get("form") == "plot":
        lines = _lines(medium.data)
        return figure(title, lines, "{:.4g}".format) if lines else None
    return _image(title, medium.data)


def _image(title: str, data: dict[str, Any]) -> Element | None:
    """Return an image whose bytes stand in the page; None for what is none."""
    try:
        content = base64.b64decode(str(data.get("data")), validate=True)
    except (binascii.Error, ValueError):
        return None
    if data.get("mime") not in _IMAGES:
        return None
    source = f"data:{data['mime']};base64,{base64.b64encode(content).decode()}"
    return element("figure", element("figcaption", element("b", title)), element("img", src=source, alt=title))


def _lines(data: dict[str, Any]) -> dict[str, list[Point]]:
    axis, curves = data.get("x"), data.get("y")
    if not isinstance(axis, list) or not isinstance(curves, dict):
        return {}
    pairs = {name: zip(axis, values, strict=False) for name, values in curves.items() if isinstance(values, list)}
    lines = {name: [(x, y) for x, y in points if _is_number(x) and _is_number(y)] for name, points in pairs.items()}
    return {name: points for name, points in lines.items() if points}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
