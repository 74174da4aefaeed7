"""Which run of the journal an imported one is: one that was recorded in part, or imported before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import journal
from journal import Journal
from journal.errors import JournalError
from journal.metrics import is_same
from journal.reading.places import what_is
from journal.writing.past_runs import PastRun
from journal.writing.writer import Writer
from uploader.importing.imported_run import ImportedRun
from uploader.importing.past_events import run_uuid
from uploader.live.logged_values import logged


@dataclass(frozen=True)
class Recognized:
    """Which run it is.

    Attributes:
        id: Its uuid.
        past: What the journal knows of it.
        elsewhere: Another journal that has it recorded, if this one has nothing of it.
        is_beside: Whether it was recorded by the program that wrote these files, too, so that they bring in nothing.
    """

    id: str
    past: PastRun
    elsewhere: Path | None = None
    is_beside: bool = False


def recognized(run: ImportedRun, opened: Journal, writer: Writer) -> Recognized:
    """Return which run an imported one is.

    A run file stays where another training has used the folder since. So a run counts as the same only if an epoch
    that both have is the same, or if they have none in common.
    """
    own = run_uuid(run)
    if run.beside:
        past, place = writer.past_run(run.beside), _recorded_elsewhere(run, opened.path)
        if past.is_known or place:
            return Recognized(run.beside, past, None if past.is_known else place, is_beside=True)
    if run.known_as and run.known_as != own:
        past = writer.past_run(run.known_as)
        if past.is_known and _agrees(run, past.epochs) is not False:
            return Recognized(run.known_as, past)
        if not past.is_known:
            return Recognized(run.known_as, past, _recorded_elsewhere(run, opened.path))
    for candidate in _candidates(run, opened) - {own} if run.may_be_recorded else ():
        past = writer.past_run(candidate)
        if _agrees(run, past.epochs):
            return Recognized(candidate, past)
    return Recognized(own, writer.past_run(own))


def unknown(run: ImportedRun, here: Path) -> Recognized:
    """Return the same where there is no journal yet.

    Args:
        run: The run.
        here: Where the journal would be.
    """
    place = _recorded_elsewhere(run, here)
    known = run.known_as or (run.beside if place else None)
    return Recognized(known or run_uuid(run), PastRun(), place)


def _candidates(run: ImportedRun, opened: Journal) -> set[str]:
    """Return the runs that saved its weights, or were written to its folder, whose run file is missing."""
    recognition = opened.recognition()
    saved = {found[0] for file in run.files if (found := recognition.saved(file.path))}
    return saved or {found for found in (recognition.in_folder(run.folder),) if found}


def _agrees(run: ImportedRun, epochs: Mapping[int, Mapping[str, Any]]) -> bool | None:
    """Return whether one of the epochs that both have is the same; None if they have none in common."""
    common = [step for step in run.steps if step.number in epochs]
    same = any(is_same(logged(step.values).metrics, epochs[step.number]) for step in common)
    return same if common else None


def _recorded_elsewhere(run: ImportedRun, here: Path) -> Path | None:
    """Return the journal that a run file names, if that is another one than here, is there, and has the run."""
    place, known = run.is_recorded_in, run.known_as or run.beside
    if known is None or place is None or place.resolve() == here.resolve() or what_is(place) != "journal":
        return None
    with suppress(JournalError), journal.open(place) as other:
        return place if other.recognition().has_run(known) else None
    return None
