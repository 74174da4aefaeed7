"""What pages are made of is made while a browser starts."""

from __future__ import annotations

import pytest

from uploader.dashboard import asset_files, page_templates
from uploader.viewing.serving import prepare_pages


def test_what_is_prepared_is_not_made_when_a_browser_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asset_files._made.cache_clear()
    page_templates._environment.cache_clear()
    prepare_pages()
    for name in ("shorter_script", "shorter_style"):
        monkeypatch.setattr(asset_files, name, lambda _: pytest.fail("made when it is asked for"))
    assert b"uPlot" in asset_files.content("vendor/uPlot.iife.min.js")
    assert all(asset_files.content(each.name) for each in asset_files.ASSETS.iterdir() if each.is_file())
    monkeypatch.setattr(page_templates.Environment, "compile", lambda *_, **__: pytest.fail("compiled then"))
    assert page_templates.rendered("unknown.html", title="t", prefix="", source="s")
