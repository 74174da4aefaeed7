"""Parts that the pages share."""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response

from uploader.server import public_address
from uploader.server.local_platform import platform_of
from uploader.server.pages.charts import charts
from uploader.server.pages.markup import document, element
from uploader.server.storage.store_records import Epoch

HEADERS = {
    # Only our own style sheet, and images that stand in the page, are allowed, so markup smuggled in by a payload could
    # not run, load or send anything.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}

_REFRESH = 10  # seconds


def page(request: Request, title: str, *body: Element | str, changing: bool = False) -> Response:
    """Return a page. The browser reloads a page whose content is changing every few seconds."""
    prefix = public_address.prefix(request, platform_of(request).url)
    content = document(title, *body, refresh=_REFRESH if changing else None, prefix=prefix)
    return Response(content, media_type="text/html", headers=HEADERS)


def detail_page(request: Request, title: str, *sections: Element, changing: bool) -> Response:
    """Return a page about one model, with a link back to the list."""
    back = element("p", element("a", "All trainings", href="/"))
    return page(request, title, back, element("h1", title), *sections, changing=changing)


def section(title: str, *body: Element) -> Element:
    """Return a section of a page; an empty one says that there is nothing yet."""
    return element("section", element("h2", title), *(body or [element("p", "None yet.")]))


def curves(epochs: list[Epoch]) -> Element:
    """Return a section with the charts of all metrics."""
    figures = charts(epochs)
    return section("Curves", *([element("div", *figures, class_="charts")] if figures else []))


def details(parts: dict[str, Any]) -> Element:
    """Return collapsed sections with values as JSON; empty values are left out."""
    return element("section", *(_detail(title, value) for title, value in parts.items() if value))


def status(name: str) -> Element:
    """Return a status as a coloured word."""
    return element("span", name, class_=f"status {name}")


def progress(done: int, total: Any) -> str:
    """Return a count with its total, or alone if the total is unknown."""
    return f"{done} of {total}" if total else str(done)


def clock(time: str) -> str:
    """Return a stored time as it is shown, to the second."""
    return f"{time[:10]} {time[11:19]} UTC" if time else "—"


def duration(milliseconds: float | None) -> str:
    """Return a time span as it is shown: its two largest units."""
    if milliseconds is None:
        return "—"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    first = next(number for number, (_, value) in enumerate(units) if value)
    return " ".join(f"{value} {unit}" for unit, value in units[first : first + 2])


def _detail(title: str, value: Any) -> Element:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return element("details", element("summary", title), element("pre", text))
