"""Pages as a person reads them: the table of values, by a Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping

from pages.numbers import Numbers

_QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_TOOK = "epoch time (s)"  # how long it took, as the platform knows: no metric
_ROWS = """rows => rows.map(row => [...row.children].map(cell => cell.textContent))"""


def read_pages(places: Mapping[str, str]) -> Iterator[tuple[str, Numbers]]:
    """Yield what each page's table of values has; nothing where there is no Chromium.

    Args:
        places: The pages' addresses, by what they are.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("NOT HERE: chromium; the pages are not read")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=[*_QUIET])
        for what, address in places.items():
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("#values tbody tr")
            rows = page.locator("#values tbody tr").evaluate_all(_ROWS)
            page.close()
            last = {row[0]: [row[1]] for row in rows if row[1] and row[0] != _TOOK}
            yield what, Numbers(last, {row[0]: row[4] for row in rows if row[4]})
        browser.close()
