"""Takes imported runs into a journal: of each what the journal does not have yet, with the files' own times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from filelock import FileLock

from journal import Journal
from journal.checkpoints.blobs import file_stamp
from journal.clock import now_text, to_text
from journal.encoding import storable
from journal.errors import BlobError, JournalBusy
from journal.ids import digest as text_digest
from journal.kinds import CONSOLE
from journal.locations import default_max_size
from journal.quantities import readable
from journal.records import Run
from journal.sessions.identity import Draft, Session, derived
from journal.sessions.over import OverRun
from journal.writing.past_runs import PastRun
from journal.writing.writer import Writer
from uploader.importing.imported_run import ImportedRun, Problem, RunFile
from uploader.importing.lacking import Lacking, all_problems, lacking_of
from uploader.importing.past_events import IMPORT, PastEvents, checkpoint_facts, outcome
from uploader.importing.same_run import Recognized, recognized, unknown
from uploader.live.redact import Redactor
from uploader.slugs import project_slug, run_slug

_LOCK = "import.lock"
_PATIENCE = 30
"""How often it is tried again while others write, after two seconds each time."""
_AT_ONCE = 1_000
"""So many events are written in one transaction: a training beside it waits no longer."""


@dataclass(frozen=True)
class Taken:
    """What became of one run.

    Attributes:
        run: As the journal has it, or would have.
        how: `new`; `grown`, of which the journal had some; `known`, of which it had all; `empty`, of which nothing is
            there to take in; `live`, which is being recorded now; `elsewhere`, which another journal has; or
            `recorded`, by the program that wrote these files, too.
        steps: How many steps, or epochs, were new.
        checkpoints: How many checkpoints were new.
        lines: How many events of console text were new.
        state: How the run stands by its files.
        problems: What could not be read.
        journal: The journal that has it, for `elsewhere`.
    """

    run: Run
    how: Literal["new", "grown", "known", "empty", "live", "elsewhere", "recorded"]
    steps: int = 0
    checkpoints: int = 0
    lines: int = 0
    state: str = "unknown"
    problems: Sequence[Problem] = ()
    journal: Path | None = None


def take_in(opened: Journal, run: ImportedRun, keys: Iterable[str], *, dry: bool = False) -> Taken:
    """Write what a journal lacks of a run.

    Args:
        opened: The journal.
        run: The run.
        keys: What is to be kept out of the journal.
        dry: Whether to write nothing, and only tell.

    Raises:
        JournalError: The journal cannot be used.
    """
    with nullcontext() if dry else _alone(opened.path):
        for _ in range(_PATIENCE):
            with suppress(JournalBusy):  # trainings write, too; what is written already is not written again
                return _take_in(opened, run, keys, dry=dry)
        return _take_in(opened, run, keys, dry=dry)


def _take_in(opened: Journal, run: ImportedRun, keys: Iterable[str], *, dry: bool) -> Taken:
    with closing(opened.writer()) as writer:
        which = recognized(run, opened, writer)
        events = PastEvents(run, Redactor(keys))
        told = Taken(_row(run, which.id, events.began), "known", state=run.state, problems=all_problems(run))
        if which.elsewhere is not None:
            return _left_there(told, which.elsewhere)
        if which.is_beside:
            return replace(told, how="recorded", run=_known(writer, told.run), problems=())
        if which.past.is_pruned:
            return replace(told, run=_known(writer, told.run))
        if which.past.is_live or (which.past.is_recorded and _over(opened, which.id) is None):
            return replace(told, how="live", run=_known(writer, told.run))
        lacking = lacking_of(run, which.past, events)
        if dry or not (lacking.needs_session or which.past.is_known):
            return _summed_up(told, which.past, lacking, _lost(opened, which.id, lacking))
        return _write(opened, writer, _Work(run, which, events, lacking), told)


def _alone(folder: Path) -> FileLock:
    """Return the lock of the one import that works on a journal: two of the same run would both add all of it."""
    return FileLock(folder / _LOCK, mode=0o600)


def _left_there(told: Taken, journal: Path) -> Taken:
    return replace(told, how="elsewhere", journal=journal)


def preview(run: ImportedRun, keys: Iterable[str], here: Path) -> Taken:
    """Return what would become of a run where there is no journal yet.

    Args:
        run: The run.
        keys: What is to be kept out of the journal.
        here: Where the journal would be.
    """
    events, which = PastEvents(run, Redactor(keys)), unknown(run, here)
    told = Taken(_row(run, which.id, events.began), "known", state=run.state, problems=all_problems(run))
    if which.elsewhere is not None:
        return _left_there(told, which.elsewhere)
    return _summed_up(told, which.past, lacking_of(run, which.past, events), [])


@dataclass(frozen=True)
class _Work:
    run: ImportedRun
    which: Recognized
    events: PastEvents
    lacking: Lacking


def _write(opened: Journal, writer: Writer, work: _Work, told: Taken) -> Taken:
    row = told.run
    run = writer.start_run(project=row.project, name=row.name, save_dir=row.save_dir, run_id=row.id, at=row.created_at)
    salvaged = _salvage(opened, run.id, work.lacking)
    told = _summed_up(replace(told, run=run), work.which.past, work.lacking, salvaged)
    if not work.lacking.needs_session:
        return told
    problems = _write_session(opened, writer, work, run.id)
    missed = len(problems)
    return replace(told, checkpoints=told.checkpoints - missed, problems=[*told.problems, *problems])


def _write_session(opened: Journal, writer: Writer, work: _Work, run_id: str) -> list[Problem]:
    """Write what is new as one session, in the order of a training: its start, its steps, its weights, its end."""
    lacking, events = work.lacking, work.events
    session = _session(run_id, lacking)
    session.continue_after(work.which.past.newest)
    number = writer.session_count(run_id) + 1
    began = (
        events.began if number == 1 else min((draft[3] for draft in lacking.before_checkpoints), default=events.ended)
    )
    start = [(*draft[:3], began) for draft in events.start(run_id, session, number=number)]
    copy = writer.run_copy()

    def add(some: Sequence[Draft]) -> None:
        entries = session.entries(some)
        for first in range(0, len(entries), _AT_ONCE):
            moments = {"started_at": began, "ended_at": max(began, events.ended)}
            copy.add_past(session, entries[first : first + _AT_ONCE], outcome=outcome(work.run), **moments)

    add([*start, *lacking.before_checkpoints])
    problems = []
    for file, _ in lacking.checkpoints:
        why = _add_checkpoint(opened, writer, session, file)
        if why is not None:
            problems.append(Problem(file.path.name, f"{why}; it was left out, and the next import takes it in"))
    add(lacking.end)
    return problems


def _session(run_id: str, lacking: Lacking) -> Session:
    """Return the session that brings in exactly this: two copies of a journal give it the same uuid."""
    told = [part for draft in (*lacking.before_checkpoints, *lacking.end) for part in draft[:3]]
    files = [sha256 for _, sha256 in lacking.checkpoints]
    return Session(run_id, derived(IMPORT, run_id, text_digest(storable("\0".join([*told, *files])))))


def _add_checkpoint(opened: Journal, writer: Writer, session: Session, file: RunFile) -> str | None:
    """Copy a checkpoint into the journal; return why that was not possible, None if it was."""
    row = writer.start_session(session.run_id, session=session)
    try:
        found = file.path.stat()
        if writer.size().total + found.st_size > (limit := default_max_size()):
            return f"the journal would exceed its limit of {readable(limit)} (UPLOADER_MAX_SIZE)"
        saved_at = to_text(datetime.fromtimestamp(found.st_mtime, timezone.utc))
        snapshot = opened.blobs.snapshot(file.path, file_stamp(file.path))
        try:
            writer.add_checkpoint(session.run_id, row, snapshot, file.role, checkpoint_facts(file), at=saved_at)
        finally:
            opened.blobs.discard(snapshot)
    except (BlobError, OSError, ValueError, OverflowError) as error:
        return str(error)
    return None


def _project(run: ImportedRun) -> str | None:
    """Return the slug of a run's project: a slash names an owner with Ultralytics and a person, and in no tracker."""
    return project_slug(run.project, _sweeps(run.folder)) if run.may_name_owner else project_slug(_flat(run.project))


def _flat(project: str | None) -> str | None:
    return project and project.strip("/").replace("/", "-")


def _row(run: ImportedRun, run_id: str, began: str) -> Run:
    return Run(run_id, _project(run), run_slug(run.name), storable(str(run.folder)), began or now_text())


def _sweeps(folder: Path) -> Path | None:
    """Return where Ultralytics puts trainings on several data sets, if a folder is where it puts runs by itself."""
    kind = folder.parent.parent
    return kind if kind.parent.name == "runs" else None


def _known(writer: Writer, run: Run) -> Run:
    return writer.find_run(run_id=run.id) or run


def _over(opened: Journal, run_id: str) -> OverRun | None:
    return next(iter(opened.runs_over(finished=True, of=[run_id])), None)


def _lost(opened: Journal, run_id: str, lacking: Lacking) -> list[int]:
    over = _over(opened, run_id) if lacking.lost.epochs else None
    return opened.lost_epochs(over, lacking.lost) if over else []


def _salvage(opened: Journal, run_id: str, lacking: Lacking) -> list[int]:
    over = _over(opened, run_id) if lacking.lost.epochs else None
    return opened.salvage_epochs(over, lacking.lost) if over else []


def _summed_up(told: Taken, past: PastRun, lacking: Lacking, salvaged: Sequence[int]) -> Taken:
    steps = len(lacking.steps) + len(salvaged)
    is_any = lacking.needs_session or bool(salvaged)
    return replace(
        told,
        how=("grown" if is_any else "known") if past.is_known else "new" if is_any else "empty",
        steps=steps,
        checkpoints=len(lacking.checkpoints),
        lines=sum(group[-1][0] == CONSOLE for group in lacking.others),
    )
