"""The panel of a run in a notebook."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from support.journals import ROOT, until
from support.recordings import recordings

pytest.importorskip("jinja2")

import uploader
from uploader.errors import SettingsError
from uploader.viewing.panel import Panel


class Page:
    """What was shown, the newest last; `shows` waits until a text is among it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._new = threading.Condition()

    def __call__(self, html: str) -> None:
        with self._new:
            self.parts.append(html)
            self._new.notify_all()

    def shows(self, text: str) -> None:
        with self._new:
            assert self._new.wait_for(lambda: text in self.parts[-1], 120), self.parts[-1]


def test_it_follows_a_training_from_before_it_begins_to_its_end(tmp_path: Path) -> None:
    page, folder = Page(), tmp_path / "journal"
    panel = Panel(folder, "latest", page, every=0.01)
    page.shows("No run yet")
    assert not folder.exists()
    with recordings(folder) as journals:
        training = journals.begin("t1")
        training.started(epochs=2)
        page.shows("0 of 2 epochs")
        training.epoch(0)
        page.shows("1 of 2 epochs")
        training.complete()
        training.end()
        page.shows("completed")
        until(lambda: not panel._thread.is_alive())
    panel.close()


def test_it_ends_when_it_is_closed_and_shows_the_run_that_was_named(tmp_path: Path) -> None:
    with recordings(tmp_path / "journal") as journals:
        first = journals.whole("first")
        journals.whole("second")
        for name in ("demo/first", "first", first.run.id[:8]):
            page = Page()
            Panel(tmp_path / "journal", name, page, every=600).close()
            page.shows("demo/first")
        page = Page()
        Panel(tmp_path / "journal", "frist", page, every=600).close()
        page.shows("No run frist (but demo/first")


def test_outside_of_a_notebook_it_says_what_to_use() -> None:
    with pytest.raises(SettingsError, match="python -m uploader view"):
        uploader.panel()


CELLS = (
    """
import uploader
from support.recordings import recordings
journals = recordings("journal").__enter__()
training = journals.begin("t1")
training.started(epochs=2)
""",
    'panel = uploader.panel(journal="journal")\npanel',
    """
from support.journals import ROOT, until
training.epoch(0)
until(lambda: "1 of 2 epochs" in panel._shown)
panel.close()
""",
)


def test_in_a_notebook_the_cell_of_the_panel_shows_what_happens_in_another_one(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [nbformat.v4.new_code_cell(each) for each in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    client = nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    [shown] = notebook.cells[1].outputs
    assert "1 of 2 epochs" in shown.data["text/html"]
    assert notebook.cells[2].outputs == []
