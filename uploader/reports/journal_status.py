"""The state of a journal, for a program and for `status --json`: one source, so that both say it in the same words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from journal import locations
from journal.errors import JournalError, NoJournal
from journal.mirror.mirror_state import MirrorState, states
from journal.read_only import JournalState, View, read_journal
from journal.reading.backlog_figures import DestinationBacklog
from journal.reading.details import Metric
from journal.reading.drain_at_work import DrainAtWork
from journal.reading.overview import RunOverview
from journal.reading.places import what_else, what_is
from journal.reading.report import RunReport
from uploader.reports.standing import standing_of
from uploader.run_folder.results_file import record_of


@dataclass(frozen=True, kw_only=True)
class RunStatus(RunReport):
    """One run, where it goes, and how it stands.

    Attributes:
        end_unknown: Whether its last process recorded no end.
        missing_epochs: Numbers, from 0, of the epochs that are neither in the journal nor in the trainer's own record.
        salvageable_epochs: Those that only that record has.
        planned_epochs: How many epochs there were to be, if that was recorded.
        metric: What the newest epoch says of the model, if it says anything.
        unplanned_bytes: Of what no delivery was made for yet.
        standing: `trouble`, `running`, `waiting`, `delivered`, `verified` or `dropped`.
        mirrors: How far it is mirrored.
    """

    end_unknown: bool
    missing_epochs: Sequence[int]
    salvageable_epochs: Sequence[int]
    planned_epochs: int | None
    metric: Metric | None
    unplanned_bytes: int
    standing: str
    mirrors: Sequence[MirrorState]


@dataclass(frozen=True, kw_only=True)
class JournalStatus:
    """The state of a journal.

    Attributes:
        journal: Its folder, or its URL without a password.
        bytes: What it takes up.
        max_bytes: Its size limit; None where the setting cannot be read, or where it is shared.
        drain: The drain at work, as far as is known here; of several at a shared journal the one that began first.
        drains: All of them.
        backlog: What waits at each destination.
        live_sessions: How many sessions of trainings are alive, as far as is known.
        fallbacks: How many fallback files hold events of it that it has not taken in.
        fallbacks_elsewhere: How many wait beside it for other journals, by where these are.
        runs: Its runs, oldest first.
    """

    journal: str
    bytes: int
    max_bytes: int | None
    drain: DrainAtWork | None
    drains: Sequence[DrainAtWork]
    backlog: Sequence[DestinationBacklog]
    live_sessions: int
    fallbacks: int
    fallbacks_elsewhere: Mapping[str, int]
    runs: Sequence[RunStatus]


def status(journal: str | os.PathLike[str] | None = None) -> JournalStatus:
    """Return the state of a journal, in the words of `status --json`; it only reads.

    Args:
        journal: Its folder; by default `UPLOADER_JOURNAL`, else the one of this user's application data.

    Raises:
        NoJournal: There is none. It is not made.
        JournalError: It cannot be read.
    """
    folder = locations.default_journal() if journal is None else locations.expanded(journal)
    if what_is(folder) != "journal":
        raise NoJournal(f"there is no journal in {folder}; {what_else(folder)}")
    view = read_journal(folder, record_of)
    return journal_status(view, view.runs, _limit())


def _limit() -> int | None:
    try:
        return locations.default_max_size()
    except JournalError:
        return None


def journal_status(view: View, runs: Sequence[RunReport], limit: int | None) -> JournalStatus:
    """Return the state of a journal.

    Args:
        view: What it holds.
        runs: Those of its runs that are wanted.
        limit: Its size limit, if that is known.
    """
    mirrors = states(view.path)
    return JournalStatus(
        journal=view.name,
        bytes=view.bytes,
        max_bytes=None if view.is_shared else limit,
        drain=view.drain,
        drains=tuple(view.drains),
        backlog=tuple(view.backlog),
        live_sessions=view.live_sessions,
        fallbacks=view.fallbacks,
        fallbacks_elsewhere=view.fallbacks_elsewhere,
        runs=tuple(_run_status(run, view, mirrors.get(run.id, ())) for run in runs),
    )


def _run_status(run: RunReport, view: View, mirrors: Sequence[MirrorState]) -> RunStatus:
    closer = view.details[run.id]
    known = {field.name: getattr(run, field.name) for field in fields(run)}
    return RunStatus(
        **known,
        **epochs_of(run, view),
        planned_epochs=closer.planned_epochs,
        metric=closer.metric,
        unplanned_bytes=closer.unplanned_bytes,
        standing=standing_of(run.state, run.targets).word,
        mirrors=tuple(mirrors),
    )


def epochs_of(run: RunReport | RunOverview, state: JournalState) -> dict[str, Any]:
    """Return what is not known of a run, or not here: its end, and epochs by their numbers, from 0.

    Args:
        run: The run.
        state: What its journal holds.
    """
    salvageable = list(state.salvageable_epochs.get(run.id, ()))
    missing = [number for number in state.missing_epochs.get(run.id, ()) if number not in salvageable]
    return {
        "end_unknown": run.state == "interrupted",
        "missing_epochs": missing,
        "salvageable_epochs": salvageable,
    }
