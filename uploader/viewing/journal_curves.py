"""What a comparison shows of one run of a journal: no more is read than that, since fifty runs may be compared."""

from __future__ import annotations

from dataclasses import replace

from journal.folder import Journal
from journal.reading.run_growth import RunCurves
from journal.reading.run_reader import RunReader
from uploader.dashboard.columns import columns
from uploader.dashboard.shown import Columns, Progress, RunFacts, RunNews
from uploader.viewing.journal_cursor import JournalCursor, digest
from uploader.viewing.journal_facts import asked_of, best_of, evaluation_of
from uploader.viewing.journal_runs import ListedRun


def curves_news(opened: Journal, run: ListedRun, known: RunNews | None) -> RunNews:
    """Return what a comparison shows; what is known already where nothing of the run is new.

    Args:
        opened: The journal.
        run: The run.
        known: What was returned before.
    """
    reader = RunReader(opened.begin, run.line.key)
    if known and _is_known(reader, run, JournalCursor.read(known.cursor)):
        return known
    found = reader.curves()
    facts = _facts(run, found)
    return RunNews(
        cursor=_cursor(run, found, facts),
        line=replace(run.line, epochs_done=len(found.epochs.numbers)),
        facts=facts,
        epochs=columns_of(found),
    )


def new_curves(opened: Journal, run: ListedRun, since: str) -> RunNews:
    """Return what of it is new for a comparison that is open: where nothing is, that costs next to nothing.

    Args:
        opened: The journal.
        run: The run.
        since: A cursor of an earlier call.
    """
    known, reader = JournalCursor.read(since), RunReader(opened.begin, run.line.key)
    if _is_known(reader, run, known):
        return RunNews(str(known))
    found = reader.curves(known.last)
    facts = _facts(run, found)
    return RunNews(
        cursor=_cursor(run, found, facts),
        line=replace(run.line, epochs_done=reader.report().epochs),
        facts=None if digest(replace(facts, best=None)) == known.facts else facts,
        progress=Progress(best=facts.best),
        epochs=columns_of(found),
        is_whole=not known.last,
    )


def _is_known(reader: RunReader, run: ListedRun, known: JournalCursor) -> bool:
    return (known.last, known.line) == (reader.last_event(), digest(run.line))


def _cursor(run: ListedRun, found: RunCurves, facts: RunFacts) -> str:
    return str(JournalCursor(found.last, digest(run.line), digest(replace(facts, best=None))))


def _facts(run: ListedRun, found: RunCurves) -> RunFacts:
    arguments, environment = asked_of(run.gist)
    best, evaluation = best_of(run.gist, found), evaluation_of(found)
    return RunFacts(arguments=arguments, environment=environment, best=best, evaluation=evaluation)


def columns_of(found: RunCurves) -> Columns:
    """Return epochs as columns."""
    return columns(found.epochs.numbers, found.epochs.recorded_at, found.epochs.metrics)
