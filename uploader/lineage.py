"""Which run a training goes on with, and the small file by which it is found again.

A path names no run: folders are moved, copied, mounted elsewhere and used again. So what is resumed decides: the small
file beside the checkpoint, then what the journal noted of the checkpoint itself, and only then the folder that is
trained into.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from journal.clock import to_text
from journal.errors import JournalError
from journal.identity import UNKNOWN, Newest
from journal.salvage import RUN_FILE
from uploader.model_file import MODEL_FILE, noted_model
from uploader.sink import JournalOptions, Sink

if TYPE_CHECKING:
    from journal import Journal

T = TypeVar("T")
LOGGER = logging.getLogger("uploader")


@dataclass(frozen=True)
class Mark:
    """What the small file in a run's folder tells.

    Attributes:
        run: Uuid of the run.
        begun_at: When the run began, ISO; "" where an earlier version wrote the file.
        is_complete: Whether the run was finished.
        newest: The session that wrote it.
    """

    run: str
    begun_at: str = ""
    is_complete: bool = False
    newest: Newest = UNKNOWN

    @classmethod
    def read(cls, folder: Path) -> Mark | None:
        """Return what a folder's file tells; None where there is none, or none of ours."""
        try:
            told = json.loads((folder / RUN_FILE).read_text("utf-8"))
            run, begun_at = str(uuid.UUID(str(told["run"]))), str(told.get("begunAt") or "")
            newest = Newest(int(told.get("generation") or 0), str(told["session"]) if told.get("session") else None)
            return cls(run, begun_at, told.get("complete") is True, newest)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


@dataclass(frozen=True)
class Origin:
    """Where a training comes from.

    Attributes:
        mark: The run that goes on; None where one begins.
        model: Id of the model that upstream has streamed the training to, where it goes on as that.
    """

    mark: Mark | None = None
    model: str | None = None


def origin(
    options: JournalOptions, save_dir: Path, *, resume: bool, checkpoint: Path | None, started: str | None
) -> Origin:
    """Return where a training comes from.

    Args:
        options: Which journal.
        save_dir: The folder that is trained into.
        resume: Whether it is resumed.
        checkpoint: The file that it is resumed from, where that is known.
        started: Id of the model that upstream has registered for it a moment ago.
    """
    mark = known_run(options, save_dir, checkpoint) if resume else None
    folders = (*beside(checkpoint), *([] if checkpoint else [save_dir])) if resume else ()
    streamed = started or next(filter(None, map(noted_model, folders)), None)
    if streamed is None:
        return Origin(mark)
    runs = _ask_journal(options, lambda journal: journal.runs_of_model(streamed)) or set()
    if mark and mark.run in runs:
        return Origin(mark, streamed)
    if runs:
        LOGGER.warning(
            "Model %s, which %s names, goes on as run %s: this is another training, and becomes a model of its own",
            streamed,
            save_dir,
            ", ".join(sorted(runs)),
        )
        return Origin(mark)
    if mark and _ask_journal(options, lambda journal: journal.has_run(mark.run)):
        return Origin(None, streamed)  # upstream has gone on since, as a model of its own
    return Origin(mark, streamed)


def known_run(options: JournalOptions, save_dir: Path, checkpoint: Path | None) -> Mark | None:
    """Return the run that a resumed training goes on with, or None where nobody knows it.

    Args:
        options: Which journal.
        save_dir: The folder that is trained into.
        checkpoint: The file that is resumed from; None where only the folder is known.
    """
    if mark := next(filter(None, map(Mark.read, beside(checkpoint))), None):
        return mark
    before = None
    if checkpoint is not None:
        if run := _ask_journal(options, lambda journal: journal.find_run(checkpoint=checkpoint)):
            return Mark(run)
        before = None if _is_within(checkpoint, save_dir) else _written_at(checkpoint)
    mark = Mark.read(save_dir)
    if mark and (before is None or mark.begun_at <= before):  # a later run's folder has nothing to do with it
        return mark
    run = _ask_journal(options, lambda journal: journal.find_run(save_dir=save_dir, before=before))
    return Mark(run) if run else None


def forget_model(save_dir: Path) -> None:
    """Take away what upstream has noted of an earlier training in a folder, so that it does not go on as its model."""
    with suppress(OSError):
        (save_dir / MODEL_FILE).unlink(missing_ok=True)


def remember_run(sink: Sink, save_dir: Path, known: Mark | None, is_complete: bool) -> None:
    """Write the small file by which the run is found again; a temporary name first, so that it is never torn.

    Args:
        sink: The session.
        save_dir: The folder that is trained into.
        known: What was known of the run before; None for a new one.
        is_complete: Whether the run is finished.
    """
    begun_at = known.begun_at if known else sink.run.created_at
    told = {
        "run": sink.run.id,
        "journal": str(sink.folder.absolute()),
        "begunAt": begun_at,
        "complete": is_complete,
        "session": sink.session.uuid,
        "generation": sink.session.generation,
    }
    temporary = save_dir / f".{RUN_FILE}.tmp"
    try:
        temporary.write_text(json.dumps(told), "utf-8")
        temporary.replace(save_dir / RUN_FILE)
    except OSError as error:
        LOGGER.warning("%s cannot be written (%s); a resume finds the run by its folder", RUN_FILE, error.strerror)


def beside(checkpoint: Path | None) -> Iterator[Path]:
    """Yield the folders that a checkpoint may be a run's in: upstream keeps it in `weights`, people move it."""
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


def _ask_journal(options: JournalOptions, question: Callable[[Journal], T]) -> T | None:
    import journal

    try:
        with journal.open(options.journal) as opened:
            return question(opened)
    except JournalError:
        return None
