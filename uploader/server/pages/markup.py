"""HTML as element trees, so that text is always escaped, without anybody having to remember it."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring


def element(tag: str, *children: Element | str, **attributes: object) -> Element:
    """Return an element.

    Args:
        tag: Name of the element.
        children: Elements and text, in order.
        attributes: Attributes; `class_` stands for `class`, and other underscores for hyphens.
    """
    made = Element(tag, {_attribute(name): str(value) for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + child
        else:
            last.tail = (last.tail or "") + child
    return made


def table(headings: list[str], rows: list[list[Element | str]]) -> Element:
    """Return a table."""
    made = element("table")
    SubElement(made, "thead").append(element("tr", *(element("th", each) for each in headings)))
    SubElement(made, "tbody").extend(element("tr", *(element("td", each) for each in row)) for row in rows)
    return made


def document(title: str, *body: Element | str, refresh: int | None = None, prefix: str = "") -> bytes:
    """Return a whole page.

    Args:
        title: Its title.
        body: What is on it.
        refresh: Seconds after which the browser reloads it; None for never.
        prefix: Path prefix of this server, added to links to its own pages.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="stylesheet", href="/style.css"),
    )
    if refresh is not None:
        SubElement(head, "meta", {"http-equiv": "refresh", "content": str(refresh)})
    page = element("html", head, element("body", element("main", *body)), lang="en")
    for each in page.iter():
        if (target := each.get("href", "")).startswith("/"):
            each.set("href", prefix + target)
    # ASCII with character references, because payloads may contain a lone surrogate, which UTF-8 cannot encode.
    text: bytes = tostring(page, encoding="us-ascii", method="html")
    return b"<!doctype html>\n" + text


def _attribute(name: str) -> str:
    return name.rstrip("_") if name in ("viewBox", "class_") else name.replace("_", "-")
