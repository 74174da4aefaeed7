"""A browser that looks at pages: Chromium, which talks to the server under test and to nobody else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.wants import not_here

QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser; a module's tests share one, because its start takes longer than most of them.

    Skips without playwright, which only those environments have that also have what it is compared with.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="pages are looked at by playwright")
    program = next(filter(None, map(shutil.which, _NAMES)), None) or not_here("there is no Chromium to look at pages")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=[*QUIET])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visited(
    browser: Any, address: str, path: str = "/", *, refusing: str | None = None, **options: Any
) -> Iterator[Any]:
    """Yield a page of the server at `address`; fails if it logs an error, or asks anybody else for anything.

    Args:
        browser: As `chromium` yields it.
        address: Of the server.
        path: Of the page.
        refusing: A path of the server that may answer with an error, which a browser logs by itself.
        options: Of the browser's context, such as `viewport={"width": 390, "height": 844}` or `color_scheme="dark"`.
    """
    wrong: list[str] = []
    context = browser.new_context(**options)
    try:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said, refusing) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: wrong.append(asked.url) if not _is_own(asked.url, address) else None)
        page.goto(address + path)
        yield page
    finally:
        context.close()
    assert wrong == []


def _is_wrong(said: Any, refusing: str | None) -> bool:
    is_refusal = refusing is not None and said.location["url"].endswith(refusing)
    return said.type == "error" and not is_refusal


def _is_own(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", "blob:"))
