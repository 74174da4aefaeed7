"""A run's page as one file that needs no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.browsers import chromium, visited
from support.recordings import recordings

pytest.importorskip("jinja2")

from uploader.__main__ import main
from uploader.dashboard.single_file import bundled


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with recordings(tmp_path / "journal") as journals:
        training = journals.begin("<b>t1")
        training.started(epochs=2, trainArgs={"lr0": "</script><script>document.title='taken'</script>"})
        for number in range(2):
            training.console(number, f"</script> line {number}")
            training.epoch(number)
        plot = {"type": "pr_curve", "x": [0, 0.5, 1], "y": [[1, 0.9, 0], [1, 0.5, 0]], "ap": [0.8, 0.5]}
        training.event(
            "training_complete", {"results": {"metrics": {"loss": 0.5}}, "classNames": ["a", "b"], "plots": [plot]}
        )
        training.end()
    out = tmp_path / "t1.html"
    options = ["export", "latest", "--journal", str(tmp_path / "journal"), "--format", "html", "-o", str(out)]
    assert CliRunner().invoke(main, options).exit_code == 0
    return out


def test_it_shows_curves_plots_console_and_arguments_without_a_server(browser: Any, file: Path) -> None:
    with visited(browser, file.parent.as_uri(), f"/{file.name}?sections=arguments") as page:
        page.wait_for_selector("#curves canvas")
        assert page.inner_text("#name") == "<b>t1"
        assert "0.5" in page.inner_text("#curves")
        assert page.inner_text("pre.console").splitlines()[:2] == ["</script> line 0", "</script> line 1"]
        assert "document.title" in page.inner_text("#arguments")
        page.locator("#pictures").scroll_into_view_if_needed()
        page.wait_for_selector("#pictures canvas")
        assert page.get_by_text("Download").count() == page.get_by_text("Whole text").count() == 0
        assert "taken" not in page.title()


def test_each_script_is_in_it_once_and_after_what_it_uses() -> None:
    script = bundled("run.js")
    assert script.count("const module_base = ") == 1
    assert script.index("const module_words = ") < script.index("const module_run_head = ")
    assert "export " not in script.replace("// ", "")
    assert 'from "./' not in script
