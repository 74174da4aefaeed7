"""A run's page as one file, from its journal."""

from __future__ import annotations

from dataclasses import replace

from uploader.dashboard.single_file import single_file
from uploader.viewing.journal_source import JournalSource


def whole_page(source: JournalSource, key: str, title: str) -> bytes:
    """Return a run's page as one file, with all that it printed.

    Args:
        source: The journal.
        key: The run.
        title: Of the page.

    Raises:
        UnknownRun: It is not there.
    """
    news = replace(source.news(key), console="".join(source.console(key)), console_cut=False)
    return single_file(news, source.pictures(key), key, title)
