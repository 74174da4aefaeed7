"""Reading a journal even if nothing can be written: on a full or read-only disk, or in another user's folder."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from journal import locations
from journal.errors import DiskFull, JournalUnwritable, from_os
from journal.folder import Journal
from journal.opening import open_journal
from journal.reading.report import RunReport


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
    """

    path: Path
    runs: tuple[RunReport, ...]
    bytes: int
    fallbacks: int
    fallbacks_elsewhere: dict[str, int]


def read_journal(folder: Path | None = None) -> View:
    """Read the state of a journal; if it cannot be written, from a copy of its database.

    Args:
        folder: The journal; by default the one that `open_journal` would open.

    Raises:
        JournalError: It cannot be read.
    """
    path = locations.expanded(folder) if folder is not None else locations.default_journal()
    try:
        with open_journal(path) as opened:
            return _view(opened, path)
    except (JournalUnwritable, DiskFull):
        return _read_copy(path)


def _read_copy(path: Path) -> View:
    from journal.doctor.source import copy_database  # the doctor is needed nowhere else on the way

    with tempfile.TemporaryDirectory(prefix="uploader-status-") as scratch:
        try:
            copy_database(path / "journal.db", Path(scratch))
        except OSError as error:
            raise from_os(error, path / "journal.db", "read") from error
        with open_journal(scratch) as copy:
            return _view(copy, path)


def _view(opened: Journal, path: Path) -> View:
    elsewhere = opened.fallbacks_elsewhere(path)
    return View(path, tuple(opened.report()), opened.size().total, opened.fallbacks_waiting(path), elsewhere)
