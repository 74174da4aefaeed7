"""What is new of one run of a journal since a page looked last.

A cursor holds the id of the newest event that was told, and digests of the line and of the facts, so that these are
told again only when they have changed: deliveries that arrive leave no event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from journal.folder import Journal
from journal.mirror.mirror_state import states
from journal.reading.console_text import ConsoleChunk
from journal.reading.run_growth import RunGrowth
from journal.reading.run_reader import RunContents, RunReader
from uploader.console_chunks import folded
from uploader.dashboard.columns import evenly, machine_columns
from uploader.dashboard.shown import Progress, RunFacts, RunNews
from uploader.viewing.journal_cursor import JournalCursor, digest
from uploader.viewing.journal_curves import columns_of
from uploader.viewing.journal_facts import MOVING, run_facts
from uploader.viewing.journal_runs import ListedRun
from uploader.viewing.viewed_journal import ViewedJournal

_LINES = 2000
"""So many of the last lines of a console are told at first; all of it is had as text."""
_DELIVERIES = 100
_SAMPLES = 2000
_FEW = 3
"""Epochs that `contents` reads beside: none of them is used."""


def run_news(opened: Journal, viewed: ViewedJournal, run: ListedRun, since: str | None) -> RunNews:
    """Return what a run's page tells, or what of it is new.

    Args:
        opened: The journal.
        viewed: Where it is, even if `opened` is a copy.
        run: The run.
        since: A cursor of an earlier call, or None.
    """
    known = JournalCursor.read(since)
    after = known.last
    reader = RunReader(opened.begin, run.line.key)
    growth = reader.growth(after, _LINES)
    contents = reader.contents(epochs=_FEW, lines=1, deliveries=_DELIVERIES)
    facts = _facts(contents, viewed, run, growth)
    line = replace(run.line, epochs_done=contents.report.epochs)  # which is dear to count for all of a list
    told_line, told_facts = digest(line), digest(_lasting(facts))
    is_known = told_facts == known.facts
    return RunNews(
        cursor=str(JournalCursor(growth.last, told_line, told_facts)),
        line=None if told_line == known.line else line,
        facts=None if is_known else facts,
        progress=_progress(facts, growth) if is_known and growth.epochs.numbers else None,
        epochs=columns_of(growth),
        system=machine_columns(evenly(growth.samples, _SAMPLES)),
        console=console_text(growth.console),
        console_is_whole_tail=bool(after) and not growth.console_is_later,
        console_cut=growth.is_cut,
        is_whole=bool(since) and not after,
    )


def console_text(chunks: Sequence[ConsoleChunk]) -> str:
    """Return console text as a page shows it: of a line that was written over, what was left of it."""
    return "".join(f"{line}\n" for chunk in chunks for line in folded(chunk.text))


def _facts(contents: RunContents, viewed: ViewedJournal, run: ListedRun, growth: RunGrowth) -> RunFacts:
    key = run.line.key
    kept = {one.sha256 for one in contents.checkpoints if one.is_kept and viewed.has_bytes(one.sha256)}
    downloads = {sha256: f"/data/checkpoint?{urlencode({'key': key, 'sha256': sha256})}" for sha256 in kept}
    mirrors = states(viewed.path, [key]).get(key, ())
    return run_facts(contents, run.gist, growth, mirrors=mirrors, downloads=downloads, save_dir=run.save_dir)


def _progress(facts: RunFacts, growth: RunGrowth) -> Progress:
    new = {*growth.epochs.numbers}
    others = [one for one in facts.others if one.epoch in new]
    return Progress([one for one in facts.facts if one.label in MOVING], facts.best, others)


def _lasting(facts: RunFacts) -> RunFacts:
    """Return the facts without those that move while a run is trained."""
    return replace(facts, facts=[one for one in facts.facts if one.label not in MOVING], best=None, others=())
