"""What a comparison shows of one run of a journal: no more is read than that, since fifty runs may be compared."""

from __future__ import annotations

from dataclasses import replace

from journal.folder import Journal
from journal.reading.run_growth import RunCurves
from journal.reading.run_reader import RunReader
from uploader.dashboard.columns import columns
from uploader.dashboard.shown import Columns, RunFacts, RunNews
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
    if known and known.line:
        cursor = JournalCursor.read(known.cursor)
        line = replace(run.line, epochs_done=known.line.epochs_done)
        if (cursor.last, cursor.line) == (reader.last_event(), digest(line)):
            return known
    found = reader.curves()
    line = replace(run.line, epochs_done=len(found.epochs))
    arguments, environment = asked_of(run.gist)
    return RunNews(
        cursor=str(JournalCursor(found.last, digest(line))),
        line=line,
        facts=RunFacts(
            arguments=arguments,
            environment=environment,
            best=best_of(run.gist, found),
            evaluation=evaluation_of(found),
        ),
        epochs=columns_of(found),
    )


def columns_of(found: RunCurves) -> Columns:
    """Return epochs as columns."""
    return columns(
        [one.epoch for one in found.epochs],
        [one.recorded_at for one in found.epochs],
        [one.metrics for one in found.epochs],
    )
