"""Reading a journal even if nothing can be written: on a full or read-only disk, or in another user's folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from journal import locations
from journal.errors import DiskFull, JournalUnwritable, from_os
from journal.folder import Journal
from journal.opening import open_journal
from journal.reading.drain_at_work import DrainAtWork, drain_at_work
from journal.reading.report import RunReport
from journal.sessions.over import RecordOf, no_record


@dataclass(frozen=True)
class View:
    """What a journal holds, as `uploader status` shows it.

    Attributes:
        path: The folder.
        runs: The state of each run, oldest first.
        bytes: What the journal takes up; see `journal.retention.limit.Size`.
        fallbacks: How many fallback files hold events of this journal that it has not imported.
        fallbacks_elsewhere: How many fallback files wait beside this journal for others, by where each of those is: its
            folder, after the name of the machine where that is another one.
        missing_epochs: Numbers, from 0, of the epochs that the journal lacks although it has later ones, by run.
        salvageable_epochs: Of the epochs that it lacks, and the trainer's own record has, by run.
        drain: The drain at work, as far as is known here.
    """

    path: Path
    runs: tuple[RunReport, ...]
    bytes: int
    fallbacks: int
    fallbacks_elsewhere: dict[str, int]
    missing_epochs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    salvageable_epochs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    drain: DrainAtWork | None = None


def read_journal(folder: Path | None = None, record_of: RecordOf = no_record) -> View:
    """Read the state of a journal; if it cannot be written, from a copy of its database.

    Args:
        folder: The journal; by default the one that `open_journal` would open.
        record_of: Returns a trainer's own record of a run's epochs.

    Raises:
        JournalError: It cannot be read.
    """
    path = locations.expanded(folder) if folder is not None else locations.default_journal()
    with reading(path) as opened:
        return _view(opened, path, record_of)


@contextmanager
def reading(path: Path) -> Iterator[Journal]:
    """Open a journal to read it; if it cannot be written, a copy of its database.

    Args:
        path: The folder, absolute.

    Raises:
        JournalError: It cannot be read.
    """
    try:
        opened = open_journal(path)
    except (JournalUnwritable, DiskFull):
        with _copied(path) as copy:
            yield copy
        return
    with opened:
        yield opened


@contextmanager
def _copied(path: Path) -> Iterator[Journal]:
    from journal.doctor.source import copy_database  # the doctor is needed nowhere else on the way

    with tempfile.TemporaryDirectory(prefix="uploader-status-") as scratch:
        try:
            copy_database(path / "journal.db", Path(scratch))
        except OSError as error:
            raise from_os(error, path / "journal.db", "read") from error
        with open_journal(scratch) as copy:
            yield copy


def _view(opened: Journal, path: Path, record_of: RecordOf) -> View:
    missing = opened.missing_epochs()
    over = {run.id: run for run in opened.runs_over()}
    if missing.keys() - over.keys():  # of finished runs that have arrived, few are looked at
        over |= {run.id: run for run in opened.runs_over(finished=True) if run.id in missing}
    lost = {run.id: opened.lost_epochs(run, record_of(run)) for run in over.values()}
    return View(
        path,
        tuple(opened.report()),
        opened.size().total,
        opened.fallbacks_waiting(path),
        opened.fallbacks_elsewhere(path),
        missing,
        {run_id: epochs for run_id, epochs in lost.items() if epochs},
        drain_at_work(path),
    )
