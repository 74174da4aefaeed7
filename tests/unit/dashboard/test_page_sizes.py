"""What the pages have browsers load: small enough to be there at once over a slow line."""

from __future__ import annotations

import pytest

from uploader.dashboard import asset_files, page_templates

pytestmark = pytest.mark.repository

MOST = 150_000


def test_all_pages_together_load_at_most_150_kilobytes_without_any_compression() -> None:
    assets = [each for each in asset_files.ASSETS.rglob("*") if each.suffix in (".js", ".css")]
    sizes = {each.name: len(asset_files.content(str(each.relative_to(asset_files.ASSETS)))) for each in assets}
    sizes |= {name: len(text.encode()) for name, text in page_templates.sources().items()}
    assert sizes["uPlot.iife.min.js"] > 50_000, "all that browsers load is counted"
    assert sum(sizes.values()) <= MOST, sizes
