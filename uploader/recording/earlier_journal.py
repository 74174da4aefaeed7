"""A run that goes on in another journal than before: what that journal, or else the run file, knows of it."""

from __future__ import annotations

import logging
from pathlib import Path

from journal.errors import JournalError
from journal.opening import open_journal
from journal.reading.places import what_is
from journal.writing import continuation
from journal.writing.continuation import Continuation
from uploader.run_folder.run_file import KnownRun

LOGGER = logging.getLogger("uploader")


def go_on(here: Continuation, known: KnownRun, folder: Path, *, is_here: bool) -> Continuation:
    """Return what is known of a run that goes on.

    Args:
        here: What the journal that it goes on in knows.
        known: The run, as its run file told it.
        folder: That journal's.
        is_here: Whether the journal has earlier sessions of the run.
    """
    before = Path(known.journal) if known.journal else folder
    there = here if before == folder else _read(before, known.run)
    following = max(here.following, known.steps.following, there.following if there else 0)
    is_known = known.steps.is_over or (is_here if before == folder else there is not None)
    if not is_known:
        LOGGER.warning(
            "Run %s goes on without its earlier steps, which %s has: steps that are logged without a number begin at "
            "%d, and take the place of those that a platform has by the same numbers. Give the step, or that journal",
            known.run,
            before,
            following,
        )
    there = there or Continuation()
    kept = None if there.best and there.best != here.best else here.kept
    return Continuation(following, there.summary or here.summary, there.best or here.best, kept)


def _read(journal: Path, run_id: str) -> Continuation | None:
    """Return what another journal knows of a run; None where it cannot be read."""
    try:
        if what_is(journal) != "journal":
            return None
        with open_journal(journal) as opened, opened.begin(read_only=True) as connection:
            return continuation.read(connection, run_id)
    except (JournalError, OSError):
        return None
