"""What a page has its browser load: small enough to be there at once over a slow line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import uploader.dashboard

HERE = Path(uploader.dashboard.__file__).parent
ASSETS = HERE / "assets"
MOST = 150_000


@pytest.mark.parametrize("page", ["runs", "run", "compare"])
def test_a_page_loads_at_most_150_kilobytes_without_any_compression(page):
    templates = [HERE / "templates" / f"{each}.html" for each in ("base", page)]
    named = [re.findall(r"/assets/([\w./]+)", each.read_text("utf-8")) for each in templates]
    loaded = {file for names in named for name in names for file in with_imports(name)}
    sizes = {each.name: each.stat().st_size for each in [*templates, *loaded]}
    assert sum(sizes.values()) <= MOST, sizes


def with_imports(name):
    """Return a file of the pages and all that it imports."""
    found, left = set(), [ASSETS / name]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += [ASSETS / each for each in re.findall(r' from "\./([\w.]+)";', file.read_text("utf-8"))]
    return found
