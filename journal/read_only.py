"""Reading a journal even if nothing can be written: on a full or read-only disk, or in another user's folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from journal import locations
from journal.errors import DiskFull, JournalUnwritable, from_os
from journal.folder import Journal
from journal.opening import open_existing, open_journal, open_shared
from journal.reading.backlog_figures import DestinationBacklog
from journal.reading.details import RunDetails
from journal.reading.drain_at_work import DrainAtWork
from journal.reading.overview import RunOverview
from journal.reading.report import RunReport
from journal.sessions.over import RecordOf, no_record
from journal.shared_addresses import shared_url, told

FEW = 6
"""Of so many runs a glance counts everything; it takes a look at each event and delivery of the journal."""
Choose = Callable[[Sequence[RunOverview]], Iterable[str]]
"""Given all runs: returns the ids of some."""


@dataclass(frozen=True, kw_only=True)
class JournalState:
    """What a look at a journal finds of the whole of it.

    Attributes:
        path: The folder, or what stands for the URL of a shared journal.
        bytes: What the journal takes up; see `journal.retention.limit.Size`.
        fallbacks: How many fallback files hold events of this journal that it has not imported.
        fallbacks_elsewhere: How many fallback files wait beside this journal for others, by where each of those is: its
            folder, after the name of the machine where that is another one.
        details: Of each run that was looked at closely, by run.
        missing_epochs: Numbers, from 0, of the epochs that the journal lacks although it has later ones, by run.
        salvageable_epochs: Of the epochs that it lacks, and the trainer's own record has, by run.
        drains: The drains at work, as far as is known here; more than one only at a shared journal.
        backlog: What waits at each destination, if that was asked for.
        live_sessions: How many sessions of trainings are alive, as far as is known.
    """

    path: Path
    bytes: int
    fallbacks: int
    fallbacks_elsewhere: Mapping[str, int]
    details: Mapping[str, RunDetails] = field(default_factory=dict)
    missing_epochs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    salvageable_epochs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    drains: Sequence[DrainAtWork] = ()
    backlog: Sequence[DestinationBacklog] = ()
    live_sessions: int = 0

    @property
    def is_shared(self) -> bool:
        """Whether it is a shared journal."""
        return shared_url(self.path) is not None

    @property
    def name(self) -> str:
        """The journal as people are told of it: its folder, or its URL without a password."""
        return told(self.path)

    @property
    def drain(self) -> DrainAtWork | None:
        """The drain at work that began first, None if there is none."""
        return self.drains[0] if self.drains else None


@dataclass(frozen=True, kw_only=True)
class View(JournalState):
    """What a journal holds, in full.

    Attributes:
        runs: The state of each run, oldest first.
    """

    runs: tuple[RunReport, ...]


@dataclass(frozen=True, kw_only=True)
class Glance(JournalState):
    """The same at a glance: what has arrived of a run is not counted, and only some runs are looked at closely.

    Attributes:
        runs: Each run, oldest first.
        reports: Of those that were looked at closely, where they are few, all that there is to count.
    """

    runs: tuple[RunOverview, ...]
    reports: Mapping[str, RunReport]


def read_journal(folder: Path | None = None, record_of: RecordOf = no_record) -> View:
    """Read the state of a journal; if it cannot be written, from a copy of its database.

    Args:
        folder: The journal; by default the one that `open_journal` would open.
        record_of: Returns a trainer's own record of a run's epochs.

    Raises:
        JournalError: It cannot be read.
    """
    path = _place(folder)
    with reading(path) as opened:
        return _view(opened, path, record_of)


def glance(
    folder: Path | None, choose: Choose, record_of: RecordOf = no_record, *, with_backlog: bool = False
) -> Glance:
    """Read the state of a journal's runs, closely of those alone that are to be shown.

    Args:
        folder: The journal; by default the one that `open_journal` would open.
        choose: Returns the ids of the runs to look at closely.
        record_of: Returns a trainer's own record of a run's epochs.
        with_backlog: Whether to count what waits at each destination, too.

    Raises:
        JournalError: It cannot be read.
    """
    path = _place(folder)
    with reading(path) as opened:
        seen = _glance(opened, path, choose, record_of)
        return replace(seen, backlog=opened.backlog()) if with_backlog else seen


def _place(folder: Path | None) -> Path:
    return locations.expanded(folder) if folder is not None else locations.default_journal()


@contextmanager
def reading(path: Path) -> Iterator[Journal]:
    """Open a journal to read it; if it cannot be written, a copy of its database. None is made.

    Args:
        path: The folder, absolute, or what stands for the URL of a shared journal.

    Raises:
        NoJournal: There is none, or not any more.
        JournalError: It cannot be read.
    """
    if url := shared_url(path):
        with open_shared(url, make=False) as shared:
            yield shared
        return
    try:
        opened = open_existing(path)
    except (JournalUnwritable, DiskFull):
        with _copied(path) as copy:
            yield copy
        return
    with opened:
        yield opened


@contextmanager
def _copied(path: Path) -> Iterator[Journal]:
    from journal.doctor.source import copy_database  # the doctor is needed nowhere else on the way

    with tempfile.TemporaryDirectory(prefix="uploader-status-") as scratch:
        try:
            copy_database(path / "journal.db", Path(scratch))
        except OSError as error:
            raise from_os(error, path / "journal.db", "read") from error
        with open_journal(scratch) as copy:
            yield copy


def _view(opened: Journal, path: Path, record_of: RecordOf) -> View:
    missing = opened.missing_epochs()
    runs = opened.report()
    return View(
        runs=tuple(runs),
        details=opened.details([run.id for run in runs]),
        missing_epochs=missing,
        salvageable_epochs=_salvageable(opened, runs, missing, record_of),
        backlog=opened.backlog(),
        **_beside(opened, path),
    )


def _glance(opened: Journal, path: Path, choose: Choose, record_of: RecordOf) -> Glance:
    runs, missing = opened.overview()
    chosen = {*choose(runs)}
    counted = opened.report() if 0 < len(chosen) <= FEW else ()
    return Glance(
        runs=tuple(runs),
        reports={run.id: run for run in counted if run.id in chosen},
        details=opened.details(chosen),
        missing_epochs=missing,
        salvageable_epochs=_salvageable(opened, (run for run in runs if run.id in chosen), missing, record_of),
        **_beside(opened, path),
    )


def _salvageable(
    opened: Journal, runs: Iterable[RunReport | RunOverview], missing: Mapping[str, Sequence[int]], record_of: RecordOf
) -> Mapping[str, Sequence[int]]:
    """Return the epochs that trainers' own records have of runs, and the journal lacks."""
    if opened.is_shared:
        return {}  # these records are on the machines that trained
    chosen = {run.id: run for run in runs}
    pruned = {run.id for run in chosen.values() if run.pruned}
    over = {run.id: run for run in opened.runs_over(of=chosen, pruned=pruned)}
    if rest := chosen.keys() & missing.keys() - over.keys():  # of finished runs that have arrived, few are looked at
        over |= {run.id: run for run in opened.runs_over(finished=True, of=rest, pruned=pruned)}
    records = {run.id: record_of(run) for run in over.values()}
    lost = {run.id: opened.lost_epochs(run, records[run.id]) for run in over.values() if records[run.id].epochs}
    return {run_id: epochs for run_id, epochs in lost.items() if epochs}


def _beside(opened: Journal, path: Path) -> dict[str, Any]:
    if opened.is_shared:
        return {**_common(opened, path), "fallbacks": 0, "fallbacks_elsewhere": {}}
    return {
        **_common(opened, path),
        "fallbacks": opened.fallbacks.waiting(path),
        "fallbacks_elsewhere": opened.fallbacks.elsewhere(path),
    }


def _common(opened: Journal, path: Path) -> dict[str, Any]:
    return {
        "path": path,
        "bytes": opened.size().total,
        "drains": opened.drains(),
        "live_sessions": opened.live_sessions(),
    }
