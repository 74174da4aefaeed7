"""Takes imported runs into a journal: of each what the journal does not have yet, with the files' own times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock

from journal import Journal
from journal.clock import now_text
from journal.encoding import storable
from journal.errors import JournalBusy
from journal.kinds import CONSOLE, SYSTEM_METRICS
from journal.records import Run
from journal.sessions.over import OverRun
from journal.writing.past_runs import PastRun
from journal.writing.writer import Writer
from uploader.importing.imported_run import ImportedRun, Problem
from uploader.importing.lacking import Lacking, all_problems, lacking_of
from uploader.importing.past_events import PastEvents
from uploader.importing.same_run import recognized, unknown
from uploader.importing.writing import Work, write
from uploader.redacting import Redactor
from uploader.slugs import project_slug, run_slug

_LOCK = "import.lock"
_PATIENCE = 30
"""How often it is tried again while others write, after two seconds each time."""


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
        samples: How many samples of the machine were new.
        images: How many images were new.
        state: How the run stands by its files.
        problems: What could not be read.
        journal: The journal that has it, for `elsewhere`.
    """

    run: Run
    how: Literal["new", "grown", "known", "empty", "live", "elsewhere", "recorded"]
    steps: int = 0
    checkpoints: int = 0
    lines: int = 0
    samples: int = 0
    images: int = 0
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
        return _write(opened, writer, Work(run, which, events, lacking), told)


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


def _write(opened: Journal, writer: Writer, work: Work, told: Taken) -> Taken:
    row = told.run
    run = writer.start_run(project=row.project, name=row.name, save_dir=row.save_dir, run_id=row.id, at=row.created_at)
    salvaged = _salvage(opened, run.id, work.lacking)
    told = _summed_up(replace(told, run=run), work.which.past, work.lacking, salvaged)
    missed = write(opened, writer, work, run.id)
    return replace(
        told,
        checkpoints=told.checkpoints - len(missed.checkpoints),
        images=told.images - len(missed.images),
        problems=[*told.problems, *missed.images, *missed.checkpoints],
    )


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
    is_any = lacking.needs_session or bool(salvaged or lacking.images)
    of_kind = Counter(group[-1][0] for group in lacking.others)
    return replace(
        told,
        how=("grown" if is_any else "known") if past.is_known else "new" if is_any else "empty",
        steps=steps,
        checkpoints=len(lacking.checkpoints),
        lines=of_kind[CONSOLE],
        samples=of_kind[SYSTEM_METRICS],
        images=len(lacking.images),
        problems=[*told.problems, *lacking.refused],
    )
