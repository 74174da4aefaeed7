"""A journal as the source of a dashboard. It only reads, in short transactions; nothing can be done to a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from journal.reading.run_reader import RunReader
from journal.shared_addresses import told
from uploader.dashboard.columns import main_metric, number
from uploader.dashboard.run_source import Refused, UnknownRun
from uploader.dashboard.shown import Action, Download, Picture, RunList, RunNews, Trend
from uploader.dashboard.source_archive import archive
from uploader.reports.recorded_runs import RecordedJournal
from uploader.viewing.journal_curves import curves_news, new_curves
from uploader.viewing.journal_news import console_text, run_news
from uploader.viewing.journal_runs import JournalRuns, ListedRun
from uploader.viewing.run_pictures import run_pictures
from uploader.viewing.source_errors import in_the_source_s_terms
from uploader.viewing.viewed_journal import viewed_journal

_TREND = 60


class JournalSource:
    """Tells a dashboard of a journal's runs; see `uploader.dashboard.run_source.RunSource`."""

    def __init__(self, folder: Path, title: str | None = None) -> None:
        """Read nothing yet.

        Args:
            folder: The journal's, absolute, or what stands for the URL of a shared one.
            title: What pages call it; its folder, or its URL without a password, by default.
        """
        self._journal = viewed_journal(folder)
        self._title = title or told(folder)
        self._runs = JournalRuns(self._journal)

    def close(self) -> None:
        """Look no more."""
        self._journal.close()

    @property
    def title(self) -> str:
        """What is shown."""
        return self._title

    @in_the_source_s_terms
    def has(self, key: str) -> bool:
        """Return whether there is such a run."""
        return self._runs.find(key) is not None

    @in_the_source_s_terms
    def runs(self, since: str | None = None) -> RunList:
        """Return the list of runs, or what changed of it."""
        return self._runs.changes(since)

    @in_the_source_s_terms
    def trends(self, keys: Sequence[str]) -> Mapping[str, Trend]:
        """Return how the main metric of some runs went."""
        runs = self._runs.find_all(keys)
        names = {key: name for key, run in runs.items() if (name := main_metric(run.line.metrics))}
        with self._journal.reading() as opened:
            read = {key: RunReader(opened.begin, key).epochs(_TREND) for key in names}
        values = {key: [number(one.metrics.get(names[key])) for one in epochs] for key, epochs in read.items()}
        return {key: Trend(names[key], told) for key, told in values.items()}

    @in_the_source_s_terms
    def news(self, key: str, since: str | None = None) -> RunNews:
        """Return what a run's page tells, or what of it is new."""
        run = self._find(key)
        known, _, cursor = (since or "").partition(" ")
        now = self._runs.cursor
        if since is not None and known == now:
            return RunNews(since)  # nothing was written since
        with self._journal.reading() as opened:
            found = run_news(opened, self._journal, run, cursor)
        return replace(found, cursor=f"{now} {found.cursor}")

    @in_the_source_s_terms
    def curves(self, keys: Sequence[str], known: Mapping[str, RunNews]) -> Mapping[str, RunNews]:
        """Return what a comparison shows of runs."""
        runs = self._runs.find_all(keys)
        now = self._runs.cursor
        found = {key: known[key] for key in runs if key in known and known[key].cursor.startswith(f"{now} ")}
        if len(found) < len(runs):  # something was written since
            with self._journal.reading() as opened:
                read = {key: curves_news(opened, runs[key], known.get(key)) for key in runs if key not in found}
            found |= {key: replace(one, cursor=f"{now} {one.cursor.rpartition(' ')[2]}") for key, one in read.items()}
        return found

    @in_the_source_s_terms
    def curve_news(self, since: Mapping[str, str]) -> Mapping[str, RunNews]:
        """Return what of that is new."""
        runs = self._runs.find_all(since)
        now = self._runs.cursor
        found = {key: RunNews(since[key]) for key in runs if since[key].startswith(f"{now} ")}
        if len(found) < len(runs):  # something was written since
            with self._journal.reading() as opened:
                read = {key: new_curves(opened, runs[key], since[key]) for key in runs if key not in found}
            found |= {key: replace(one, cursor=f"{now} {one.cursor}") for key, one in read.items()}
        return found

    @in_the_source_s_terms
    def pictures(self, key: str) -> Sequence[Picture]:
        """Return its plots, then what was logged."""
        gist = self._find(key).gist
        with self._journal.reading() as opened:
            return run_pictures(gist, RunReader(opened.begin, key).media())

    @in_the_source_s_terms
    def console(self, key: str) -> Iterator[str]:
        """Yield all that it printed."""
        self._find(key)
        run = RecordedJournal(self._journal.path).run(key)
        return (console_text([chunk]) for chunk in run.console_chunks())

    @in_the_source_s_terms
    def checkpoint(self, key: str, sha256: str) -> tuple[Download, Iterator[bytes]]:
        """Return one of its checkpoints."""
        self._find(key)
        with self._journal.reading() as opened:
            own = {one.sha256: one for one in RunReader(opened.begin, key).checkpoints()}
        if sha256 not in own:
            raise UnknownRun("the run has no such checkpoint")
        size, parts = self._journal.bytes_of(sha256)
        return Download(own[sha256].filename, "application/octet-stream", size), parts

    @in_the_source_s_terms
    def archive(self, key: str) -> tuple[Download, Iterator[bytes]]:
        """Return all that is known of it, as a ZIP file."""
        return archive(self, key)

    def act(self, key: str, action: Action, value: Any = None) -> None:
        """Refuse: pages of a journal only show it.

        Raises:
            Refused: Always.
        """
        raise Refused("a journal is only looked at here; its platform's pages change runs")

    def _find(self, key: str) -> ListedRun:
        found = self._runs.find(key)
        if found is None:
            raise UnknownRun(f"no run {key} in {self._title}")
        return found
