"""What the pages have in common."""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response

from uploader.server import public_address
from uploader.server.pages.charts import charts
from uploader.server.pages.markup import document, element
from uploader.server.services import platform_of
from uploader.server.storage.store_records import Epoch

HEADERS = {
    # Nothing but our own style sheet: whatever a payload smuggled in could not run, load or send anything.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}

_REFRESH = 10  # seconds


def page(request: Request, title: str, *body: Element | str, changing: bool = False) -> Response:
    """Return a page; one whose content is changing is loaded again by the browser every few seconds."""
    prefix = public_address.prefix(request, platform_of(request).url)
    content = document(title, *body, refresh=_REFRESH if changing else None, prefix=prefix)
    return Response(content, media_type="text/html", headers=HEADERS)


def detail_page(request: Request, title: str, *sections: Element, changing: bool) -> Response:
    """Return a page about one thing, with a way back to all of them."""
    back = element("p", element("a", "All trainings", href="/"))
    return page(request, title, back, element("h1", title), *sections, changing=changing)


def section(title: str, *body: Element) -> Element:
    """Return a part of a page, or, when it has nothing in it, a note of that."""
    return element("section", element("h2", title), *(body or [element("p", "None yet.")]))


def curves(epochs: list[Epoch]) -> Element:
    """Return the curves of all metrics."""
    figures = charts(epochs)
    return section("Curves", *([element("div", *figures, class_="charts")] if figures else []))


def details(parts: dict[str, Any]) -> Element:
    """Return values that are folded away until somebody wants them; those without content are left out."""
    return element("section", *(_detail(title, value) for title, value in parts.items() if value))


def status(name: str) -> Element:
    """Return a status as a coloured word."""
    return element("span", name, class_=f"status {name}")


def progress(done: int, total: Any) -> str:
    """Return how many of how many; an unknown total is left out."""
    return f"{done} of {total}" if total else str(done)


def _detail(title: str, value: Any) -> Element:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return element("details", element("summary", title), element("pre", text))
