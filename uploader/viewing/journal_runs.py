"""The list of a journal's runs: looked at again when something was written, and read again where that changed it."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from journal.errors import JournalError
from journal.folder import Journal
from journal.reading.run_gists import RunGist, RunsReader
from uploader.dashboard.shown import RunLine, RunList
from uploader.viewing.journal_lines import run_line
from uploader.viewing.viewed_journal import Stamp, ViewedJournal

_OVER = frozenset({"finished", "failed", "cancelled"})
_AGAIN = 5.0
"""Seconds after which states are looked at though nothing was written: a killed training is known by its silence."""


@dataclass(frozen=True)
class ListedRun:
    """What is known of a run.

    Attributes:
        line: In the list.
        gist: What of the journal that was made from.
        save_dir: Where it was trained.
        version: Of the list, in which the line changed last.
    """

    line: RunLine
    gist: RunGist
    save_dir: str
    version: int


@dataclass
class _Look:
    """What the last look found.

    Attributes:
        stamp: What tells whether the journal was written to since; None before the first.
        asked_at: When it began.
        took: How many seconds it took.
        at: When the journal was read the last time.
        trouble: What was in its way.
        last_events: The id of the last event of each run.
        gone: The runs that were there no more, with the version of the list that told so.
    """

    stamp: Stamp | None = None
    asked_at: float = -math.inf
    took: float = 0.0
    at: float = 0.0
    trouble: JournalError | None = None
    last_events: Mapping[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)


class JournalRuns:
    """Knows the list, and tells what changed of it. Several threads may ask."""

    def __init__(self, journal: ViewedJournal, clock: Callable[[], float] = time.time) -> None:
        """Read nothing yet.

        Args:
            journal: The journal.
            clock: Unix seconds.
        """
        self._journal = journal
        self._clock = clock
        self._lock = threading.Lock()
        self._look = _Look()
        self._known: dict[str, ListedRun] = {}
        self._version = 0
        self._begun = secrets.token_hex(4)  # so that a cursor of an earlier process is known as such

    @property
    def cursor(self) -> str:
        """It changes whenever the journal may have been written; see `refresh`."""
        return f"{self._begun}-{self._version}"

    def changes(self, since: str | None) -> RunList:
        """Return the runs, or those that changed after a cursor; all where that is of another process."""
        self.refresh()
        with self._lock:
            begun, _, version = (since or "").partition("-")
            is_whole = begun != self._begun
            after = -1 if is_whole else int(version)
            lines = [one.line for one in self._known.values() if one.version > after]
            gone = [] if is_whole else [key for key, version in self._look.gone.items() if version > after]
            return RunList(self.cursor, lines[::-1], gone, is_whole=is_whole and since is not None)

    def find(self, key: str) -> ListedRun | None:
        """Return a run; None where there is none of this key."""
        return self.find_all([key]).get(key)

    def find_all(self, keys: Iterable[str]) -> dict[str, ListedRun]:
        """Return those of some runs that are there, by key, after one look."""
        self.refresh()
        return {key: run for key in keys if (run := self._known.get(key))}

    def refresh(self) -> None:
        """Look again, if something may have changed."""
        with self._lock:
            now = self._clock()
            if now - self._look.asked_at >= self._journal.rest(self._look.took):
                self._look_again(now)
            elif self._look.trouble:
                raise self._look.trouble

    def _look_again(self, now: float) -> None:
        """Look, and note how long that took; what goes wrong is raised until the next look, too."""
        try:
            self._read(now)
            self._look.trouble = None
        except JournalError as error:
            self._look.trouble = error
            raise
        finally:
            self._look.asked_at, self._look.took = now, self._clock() - now

    def _read(self, now: float) -> None:
        """Read the journal, if it was written to, or has not been read for long."""
        stamp = self._journal.stamp()
        is_written = stamp != self._look.stamp or self._journal.may_change_unseen(stamp, self._look.at)
        if is_written or now - self._look.at >= _AGAIN:
            with self._journal.reading() as opened:
                self._take(opened, datetime.fromtimestamp(now, timezone.utc), is_written)
            self._look.stamp, self._look.at = stamp, now

    def _take(self, opened: Journal, now: datetime, is_written: bool) -> None:
        reader = RunsReader(opened.begin)
        runs, last = reader.overview(now)
        next_version, before = self._version + 1, self._look.last_events
        wanted = {run.id for run in runs if last.get(run.id) != before.get(run.id) or run.id not in self._known}
        gists = reader.gists(wanted, {run.id for run in runs if run.state in _OVER})
        for run in runs:
            known = self._known.get(run.id)
            gist = gists[run.id] if run.id in gists or known is None else known.gist
            line = run_line(run, gist)
            version = known.version if known and known.line == line else next_version
            is_written |= version == next_version
            self._known[run.id] = ListedRun(line, gist, run.save_dir, version)
        for key in self._known.keys() - {run.id for run in runs}:
            del self._known[key]
            self._look.gone[key] = next_version
        if is_written:  # else the cursors of all pages stay, which costs them nothing
            self._version = next_version
        self._look.last_events = last
