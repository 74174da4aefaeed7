"""The list of a journal's runs: looked at again when something was written, and read again where that changed it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from journal.folder import Journal
from journal.read_only import reading
from journal.reading.run_gists import RunGist, RunsReader
from uploader.dashboard.shown import RunLine, RunList
from uploader.viewing.journal_lines import run_line

_OVER = frozenset({"finished", "failed", "cancelled"})
_AGAIN = 5.0
"""Seconds after which states are looked at though nothing was written: a killed training is known by its silence."""
_RECENT = 2.0
"""Seconds in which a file's time may not tell yet that it was written again."""
_FILES = ("journal.db", "journal.db-wal")

Stamp = tuple[tuple[int, int] | None, ...]


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
    """What the last look found the files to be."""

    stamp: Stamp | None = None
    at: float = 0.0
    last_event: int | None = None
    gone: dict[str, int] = field(default_factory=dict)


class JournalRuns:
    """Knows the list, and tells what changed of it. Several threads may ask."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Read nothing yet.

        Args:
            folder: The journal's.
            clock: Unix seconds.
        """
        self._folder = folder
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
            now, stamp = self._clock(), _stamp(self._folder)
            is_written = stamp != self._look.stamp or _is_recent(stamp, self._look.at)
            if not is_written and now - self._look.at < _AGAIN:
                return
            with reading(self._folder) as opened:
                self._take(opened, datetime.fromtimestamp(now, timezone.utc), is_written)
            self._look.stamp, self._look.at = stamp, now

    def _take(self, opened: Journal, now: datetime, is_written: bool) -> None:
        reader = RunsReader(opened.begin)
        runs, changed, last = reader.overview(self._look.last_event, now)
        next_version = self._version + 1
        wanted = {run.id for run in runs if run.id in changed or run.id not in self._known}
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
        self._look.last_event = last


def _stamp(folder: Path) -> Stamp:
    return tuple(_file_stamp(folder / name) for name in _FILES)


def _file_stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    # Whoever only reads a journal that nobody writes makes an empty log, which goes with the last of them.
    return (found.st_mtime_ns, found.st_size) if found.st_size else None


def _is_recent(stamp: Stamp, looked_at: float) -> bool:
    """Return whether a file may have been written again after the look without telling so by its time."""
    newest = max((each[0] for each in stamp if each), default=0) / 1e9
    return looked_at - newest < _RECENT
