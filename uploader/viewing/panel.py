"""A compact panel of a run in a notebook, which follows the training while a cell trains."""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from journal import locations
from journal.errors import JournalError
from journal.kinds import GOING_ON
from uploader.dashboard.run_source import UnknownRun
from uploader.dashboard.shown import RunLine, RunNews
from uploader.errors import SettingsError
from uploader.run_selection import LATEST
from uploader.viewing.journal_source import JournalSource

_EVERY = 2.0


def panel(run: str = LATEST, journal: str | os.PathLike[str] | None = None) -> Panel:
    """Show a run in a notebook: its state, progress, curves, and where it has arrived; live until it ends.

    Call it in the cell that trains, before the training, or in any other cell. It follows `latest` to a run that
    begins later.

    Args:
        run: Its id or the beginning of that, its name, `project/name`, or `latest`.
        journal: The journal's folder; by default `UPLOADER_JOURNAL`, else the one of this user's application data. It
            need not be there yet.

    Returns:
        The panel, which is on the page already; `close()` ends it before the run does.

    Raises:
        SettingsError: This is no notebook, or Jinja2 is missing.
    """
    handle = _displayed()
    folder = locations.default_journal() if journal is None else locations.expanded(journal)
    return Panel(folder, run, handle)


class Panel:
    """A panel on a notebook's page; `panel` makes it.

    A thread of its own looks for what is new, and ends with the run, with `close`, or with the kernel.
    """

    def __init__(self, folder: Path, run: str, show: Callable[[str], None], every: float = _EVERY) -> None:
        """Show what is there, and follow it.

        Args:
            folder: The journal's; it need not be there yet.
            run: Which one, as a person means it.
            show: Puts HTML in the place of what was shown last.
            every: Seconds between two looks.
        """
        self._folder = folder
        self._source = JournalSource(folder)
        self._run = run
        self._show = show
        self._every = every
        self._shown = ""
        self._was_running = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="uploader-panel", daemon=True)
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Follow the run no longer; what is shown stays."""
        self._end.set()
        self._thread.join()

    def _ipython_display_(self) -> None:
        """Show nothing: it is on the page already."""

    def _follow(self) -> None:
        with closing(self._source):
            while not self._end.wait(self._every):
                if self._look():
                    return

    def _look(self) -> bool:
        """Show what is new; return whether the run has ended that was seen running."""
        from uploader.viewing.panel_html import panel_html

        try:
            news = self._news()
            missing = self._missing() if news is None else ""
        except JournalError:  # it may be busy, or be made at this moment
            return False
        html = panel_html(news, self._source.title, missing)
        if html != self._shown:
            self._show(html)
            self._shown = html
        is_running = bool(news and news.line and news.line.state in GOING_ON)
        has_ended = self._was_running and not is_running
        self._was_running = is_running
        return has_ended

    def _news(self) -> RunNews | None:
        chosen = self._chosen()
        try:
            return self._source.news(chosen.key) if chosen else None
        except UnknownRun:
            return None

    def _missing(self) -> str:
        """Return in words that the run which was named is not there, and which are."""
        if self._run == LATEST or not locations.is_there(self._folder):
            return ""
        names = [*dict.fromkeys(_named(one) for one in self._source.runs().runs)]
        near = difflib.get_close_matches(self._run, names, cutoff=0.4) or names[:3]
        return f"No run {self._run} (but {', '.join(near)})" if near else ""

    def _chosen(self) -> RunLine | None:
        if not locations.is_there(self._folder):
            return None  # it may be made later
        runs = self._source.runs().runs  # the newest first
        return next((one for one in runs if self._run == LATEST or _fits(one, self._run)), None)


def _named(line: RunLine) -> str:
    return f"{line.project}/{line.name}" if line.project else line.name


def _fits(line: RunLine, wanted: str) -> bool:
    return wanted in (line.name, _named(line)) or (len(wanted) >= 4 and line.key.startswith(wanted))


def _displayed() -> Callable[[str], None]:
    """Return what shows HTML in one place of the page.

    Raises:
        SettingsError: There is no page.
    """
    try:
        import IPython
        import jinja2  # noqa: F401 - the panel's template
    except ImportError as error:
        raise SettingsError(
            f"a panel needs a notebook, and {error.name} is missing; elsewhere use `uploader view`"
        ) from None
    notebook: Any = IPython
    shell = notebook.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        raise SettingsError("a panel needs a notebook; in a terminal use `python -m uploader view`, or `show`")
    pages = notebook.display
    handle = pages.display(pages.HTML(""), display_id=True)
    return lambda html: handle.update(pages.HTML(html))
