"""Finds the run that a resumed training continues.

A path does not identify a run: folders are moved, copied, mounted elsewhere and used again. So the checkpoint that is
resumed decides: first the run file beside it, then what the journal recorded of the checkpoint itself, and only then
the folder that is trained into.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from journal.clock import to_text
from journal.errors import JournalError
from journal.locations import packs_journal, recording_folder
from journal.opening import open_journal
from journal.reading.places import what_is
from journal.sessions.identity import UNKNOWN
from journal.sessions.lost_epochs import TrainerRecord
from uploader.recording.journal_options import JournalOptions
from uploader.run_folder.model_file import is_noted, read_model_file
from uploader.run_folder.results_file import read_results_since
from uploader.run_folder.run_file import KnownRun

if TYPE_CHECKING:
    from journal.checkpoints.recognition import Recognition

T = TypeVar("T")
LOGGER = logging.getLogger("uploader")


@dataclass(frozen=True)
class Origin:
    """Where a training comes from.

    Attributes:
        known: The run that is continued; None for a new run.
        model: Id of the model that the training continues as: upstream has streamed it there, or a drain of ours has
            registered it.
        copy_of: Uuid of a run that was continued elsewhere, if this training begins in a copy of its folder.
        epochs: Number and payload, as JSON text, of the epochs that were trained before the copy was made.
        trained: The trainer's own record of what was trained before, as far as `epochs` has not the same.
    """

    known: KnownRun | None = None
    model: str | None = None
    copy_of: str | None = None
    epochs: tuple[tuple[str, str], ...] = ()
    trained: TrainerRecord = field(default_factory=TrainerRecord)


NOWHERE = Origin()
"""The origin of a new training."""


def find_origin(
    options: JournalOptions, save_dir: Path, *, resume: bool, checkpoint: Path | None, started: str | None
) -> Origin:
    """Return where a training comes from.

    Args:
        options: Which journal.
        save_dir: The folder that is trained into.
        resume: Whether it is resumed.
        checkpoint: The file that it is resumed from, if that is known.
        started: Id of the model that upstream has just registered for it.
    """
    known = known_run(options, save_dir, checkpoint) if resume else None
    folders = list(beside(checkpoint)) if checkpoint else [save_dir] if resume else []
    origin = _origin(options, save_dir, known, folders, started)
    places = [known.found or save_dir] if known else folders
    return replace(origin, trained=_trained_before(origin, known, places))


def _origin(
    options: JournalOptions, save_dir: Path, known: KnownRun | None, folders: Sequence[Path], started: str | None
) -> Origin:
    if known and (elsewhere := _newer_copy(options, known)):
        return _copy_of(options, save_dir, known, elsewhere)
    if known:
        _warn_if_trained(options, save_dir, known)
    streamed = started or next(filter(None, map(read_model_file, folders)), None)
    if streamed is None:
        return Origin(known)
    if known and _is_registered(options, known.run, streamed, folders):
        return Origin(known, streamed)
    return _streamed(options, save_dir, known, streamed)


def _copy_of(options: JournalOptions, save_dir: Path, known: KnownRun, elsewhere: str) -> Origin:
    """Return the origin of a training that begins in a copy of a run which went on elsewhere."""
    LOGGER.warning(
        "Run %s has gone on in %s since this copy of it was made. What is trained in %s is another training: it is "
        "recorded as a run of its own",
        known.run,
        elsewhere,
        save_dir,
    )
    epochs = _query_journal(options, lambda recognition: recognition.epochs(known.run, known.newest)) or ()
    return Origin(copy_of=known.run, epochs=epochs)


def _warn_if_trained(options: JournalOptions, save_dir: Path, known: KnownRun) -> None:
    if _query_journal(options, lambda recognition: recognition.lives(known.newest.uuid)):
        LOGGER.warning(
            "Run %s seems to be trained still, by another process: two trainings in %s write over each other's files",
            known.run,
            known.found or save_dir,
        )


def _is_registered(options: JournalOptions, run: str, model: str, folders: Sequence[Path]) -> bool:
    """Return whether a drain of ours has registered the run as this model.

    The journal that the training writes to does not know what a drain of a copy has registered, of a pack or a mirror.
    That drain has noted it in the run's folder. Earlier versions did not, so the journal of packs is asked, too.
    """
    if any(is_noted(folder, run, model) for folder in folders):
        return True
    packs = packs_journal()
    journals = (options.journal, packs) if what_is(packs) == "journal" else (options.journal,)
    return any(
        run in (_query(journal, lambda recognition: recognition.runs_of_model(model)) or ()) for journal in journals
    )


def _streamed(options: JournalOptions, save_dir: Path, known: KnownRun | None, model: str) -> Origin:
    """Return the origin of a training whose folder, or upstream, names a model that no drain of ours gave the run."""
    runs = _query_journal(options, lambda recognition: recognition.runs_of_model(model)) or set()
    if runs:
        LOGGER.warning(
            "Model %s, which %s names, goes on as run %s: this is another training, and becomes a model of its own",
            model,
            save_dir,
            ", ".join(sorted(runs)),
        )
        return Origin(known)
    if known and _query_journal(options, lambda recognition: recognition.has_run(known.run)):
        return Origin(None, model)  # upstream has continued it since, as another model
    return Origin(known, model)


def _trained_before(origin: Origin, known: KnownRun | None, folders: Sequence[Path]) -> TrainerRecord:
    """Return what the trainer itself has recorded of the run, or of the training that is continued as a new run.

    What upstream alone has streamed to a model is there already, with more digits.
    """
    if known is None and origin.model is not None:
        return TrainerRecord()
    begun_at = known.begun_at if known else ""
    copied = {number for number, _ in origin.epochs}
    records = (read_results_since(folder, begun_at) for folder in folders)
    found = next((record for record in records if record.epochs), TrainerRecord())
    return replace(found, epochs=[epoch for epoch in found.epochs if str(epoch.number) not in copied])


def known_run(options: JournalOptions, save_dir: Path, checkpoint: Path | None) -> KnownRun | None:
    """Return the run that a resumed training continues; None when it is not known.

    Args:
        options: Which journal.
        save_dir: The folder that is trained into.
        checkpoint: The file that is resumed from; None when only the folder is known.
    """
    if known := next(filter(None, map(KnownRun.read, beside(checkpoint))), None):
        return known
    before = None
    if checkpoint is not None:
        if saved := _query_journal(options, lambda recognition: recognition.saved(checkpoint)):
            folder = checkpoint.absolute().parent
            return KnownRun(*saved, found=folder.parent if folder.name == "weights" else folder)
        before = None if _is_within(checkpoint, save_dir) else _written_at(checkpoint)
    known = KnownRun.read(save_dir)
    if known and (before is None or known.begun_at <= before):  # else a later run has used the folder
        return known
    run = _query_journal(options, lambda recognition: recognition.in_folder(save_dir, before))
    return KnownRun(run) if run else None


def is_journaled(options: JournalOptions, run: str) -> bool:
    """Return whether the journal has a run, by its uuid."""
    return bool(_query_journal(options, lambda recognition: recognition.has_run(run)))


def _newer_copy(options: JournalOptions, known: KnownRun) -> str | None:
    """Return where a run was continued since this copy of its folder was made; None when this is the newest one."""
    if known.newest == UNKNOWN or known.found is None:
        return None
    first = Path(known.folder) if known.folder else known.found
    there = None if _is_same(first, known.found) else KnownRun.read(first)
    if there and there.run == known.run and there.newest != known.newest and there.newest[0] >= known.newest[0]:
        return str(first)
    ahead = _query_journal(options, lambda recognition: recognition.newer_session(known.run, known.newest))
    # If it was continued in this very folder, its run file could not be written, or is from a backup.
    if ahead is None or (ahead.save_dir and _is_same(Path(ahead.save_dir), known.found)):
        return None
    return ahead.save_dir or "another folder"


def _is_same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return one == other


def beside(checkpoint: Path | None) -> Iterator[Path]:
    """Yield the folders that may be the run's: upstream keeps checkpoints in `weights`, and people move them."""
    if checkpoint is None:
        return
    for path in (checkpoint.absolute(), Path(os.path.realpath(checkpoint))):
        yield from (path.parent, path.parent.parent)


def _is_within(checkpoint: Path, folder: Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(checkpoint)).parents


def _written_at(path: Path) -> str | None:
    with suppress(OSError):
        return to_text(datetime.fromtimestamp(path.stat().st_mtime, timezone.utc))
    return None


def _query_journal(options: JournalOptions, question: Callable[[Recognition], T]) -> T | None:
    return _query(options.journal, question)


def _query(folder: str | Path | None, question: Callable[[Recognition], T]) -> T | None:
    try:
        with open_journal(recording_folder(folder)) as opened:
            return question(opened.recognition())
    except JournalError:
        return None
