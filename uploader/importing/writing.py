"""Writes what a journal lacks of an imported run: as a session of its own, or beside those of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from journal import Journal
from journal.checkpoints.blobs import file_stamp
from journal.clock import to_text
from journal.encoding import storable
from journal.errors import BlobError
from journal.ids import digest as text_digest
from journal.kinds import MEDIA
from journal.locations import default_max_size
from journal.quantities import readable
from journal.sessions.identity import SALVAGE, Draft, Newest, Session, derived
from journal.writing.writer import Writer
from uploader.importing.imported_images import Room, image_events
from uploader.importing.imported_run import ImportedRun, Problem, RunFile
from uploader.importing.lacking import Lacking
from uploader.importing.past_events import IMPORT, PastEvents, checkpoint_facts, outcome
from uploader.importing.same_run import Recognized

_AT_ONCE = 1_000
"""So many events are written in one transaction: a training beside it waits no longer."""
_CHARACTERS_AT_ONCE = 8 << 20
"""So many characters of them, and of the last event some more."""


@dataclass(frozen=True)
class Work:
    """What there is to do for a run.

    Attributes:
        run: It.
        which: Which run of the journal it is.
        events: What it is there.
        lacking: What of that is to be written.
    """

    run: ImportedRun
    which: Recognized
    events: PastEvents
    lacking: Lacking


@dataclass(frozen=True)
class Missed:
    """What was to be written and was not: there was no room, or it could not be read any more."""

    images: Sequence[Problem]
    checkpoints: Sequence[Problem] = ()


def write(opened: Journal, writer: Writer, work: Work, run_id: str) -> Missed:
    """Write what a journal lacks of a run.

    Args:
        opened: The journal.
        writer: Writes to it.
        work: What there is to write.
        run_id: Uuid of the run, which is in the journal.
    """
    missed = Missed([])
    if work.lacking.is_beside_recording:
        missed = Missed(_write_images(writer, work, run_id))
    return _write_session(opened, writer, work, run_id, missed) if work.lacking.needs_session else missed


def _write_images(writer: Writer, work: Work, run_id: str) -> list[Problem]:
    """Write images beside the sessions of a recording; return what did not come in.

    All imports write into one session, so that of an image that was made again the later one is the newer one.
    """
    images, past, missed = work.lacking.images, work.which.past, list[Problem]()
    if not images:
        return []
    name, newest = derived(SALVAGE, run_id, MEDIA), past.newest
    session = Session(run_id, name, newest.generation, newest.uuid, purpose=SALVAGE, is_stored=True)
    copy, moments = writer.run_copy(), {"started_at": work.events.began, "ended_at": work.events.ended}
    session.last = copy.last_number(session)
    for some in _batches(image_events(images, work.events, _room(writer), missed)):
        copy.add_past(session, session.entries(some), outcome=SALVAGE, **moments)
    return missed


def _write_session(opened: Journal, writer: Writer, work: Work, run_id: str, missed: Missed) -> Missed:
    """Write what is new as one session, in the order of a training: its start, its steps, its weights, its end."""
    lacking, events = work.lacking, work.events
    session = _session(run_id, lacking, work.which.past.newest)
    session.continue_after(work.which.past.newest)
    number = writer.session_count(run_id) + 1
    began = (
        events.began if number == 1 else min((draft[3] for draft in lacking.before_checkpoints), default=events.ended)
    )
    start = [(*draft[:3], began) for draft in events.start(run_id, session, number=number)]
    copy = writer.run_copy()

    def add(drafts: Iterable[Draft]) -> None:
        for some in _batches(drafts):
            moments = {"started_at": began, "ended_at": max(began, events.ended)}
            copy.add_past(session, session.entries(some), outcome=outcome(work.run), **moments)

    add([*start, *lacking.before_checkpoints])
    if not lacking.is_beside_recording:
        images = list[Problem]()
        add(image_events(lacking.images, events, _room(writer), images))
        missed = Missed(images)
    problems = []
    for file, _ in lacking.checkpoints:
        why = _add_checkpoint(opened, writer, session, file)
        if why is not None:
            problems.append(Problem(file.path.name, f"{why}; it was left out, and the next import takes it in"))
    add(lacking.end)
    return Missed(missed.images, problems)


def _batches(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    """Yield events, those that are written in one transaction together."""
    together: list[Draft] = []
    size = 0
    for draft in drafts:
        together.append(draft)
        size += len(draft[2])
        if len(together) == _AT_ONCE or size >= _CHARACTERS_AT_ONCE:
            yield together
            together, size = [], 0
    if together:
        yield together


def _room(writer: Writer) -> Room:
    limit = default_max_size()
    return Room(limit, limit - writer.size().total)


def _session(run_id: str, lacking: Lacking, newest: Newest) -> Session:
    """Return the session that brings in exactly this, and next: two copies of a journal give it the same uuid."""
    told = [part for draft in (*lacking.before_checkpoints, *lacking.end) for part in draft[:3]]
    files = [*(image.sha256 for image in lacking.images), *(sha256 for _, sha256 in lacking.checkpoints)]
    after = [newest.uuid] if newest.uuid else []  # what is told may be what was told before, and not since
    return Session(run_id, derived(IMPORT, run_id, text_digest(storable("\0".join([*told, *files]))), *after))


def _add_checkpoint(opened: Journal, writer: Writer, session: Session, file: RunFile) -> str | None:
    """Copy a checkpoint into the journal; return why that was not possible, None if it was."""
    row = writer.start_session(session.run_id, session=session)
    try:
        found = file.path.stat()
        if writer.size().total + found.st_size > (limit := default_max_size()):
            return f"the journal would exceed its limit of {readable(limit)} (UPLOADER_MAX_SIZE)"
        saved_at = to_text(datetime.fromtimestamp(found.st_mtime, timezone.utc))
        snapshot = opened.local_blobs.snapshot(file.path, file_stamp(file.path))
        try:
            writer.add_checkpoint(session.run_id, row, snapshot, file.role, checkpoint_facts(file), at=saved_at)
        finally:
            opened.local_blobs.discard(snapshot)
    except (BlobError, OSError, ValueError, OverflowError) as error:
        return str(error)
    return None
