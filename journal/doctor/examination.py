"""Examining a journal: all checks, none of which changes anything."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from journal import locations
from journal.doctor.blob_checks import check_blobs
from journal.doctor.delivery_checks import check_held_up, check_reached, check_read_back, check_refused
from journal.doctor.environment_checks import (
    check_age,
    check_disk,
    check_fallback_folder,
    check_fallbacks,
    check_library,
    check_modes,
    check_size,
)
from journal.doctor.epoch_checks import check_epochs
from journal.doctor.findings import Finding, notice
from journal.doctor.row_checks import check_file, check_forks, check_rows, damaged, is_ours, unreadable
from journal.doctor.source import reading
from journal.errors import JournalError, JournalUnavailable
from journal.reading.beside import is_awaited
from journal.retention.limit import measure_by
from journal.sessions.over import RecordOf, no_record


@dataclass(frozen=True)
class Examination:
    """What was found in a journal.

    Attributes:
        journal: The folder.
        events: How many events could be counted.
        blobs: How many checkpoints are there.
        bytes: What they take up; see `journal.retention.limit.Size`.
        findings: All of them, in the order of the checks.
    """

    journal: Path
    events: int
    blobs: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no trouble."""
        return all(finding.weight != "trouble" for finding in self.findings)


def examine(
    folder: Path,
    *,
    deep: bool = False,
    fallback_folders: Iterable[Path] | None = None,
    kept: Iterable[str] = (),
    record_of: RecordOf = no_record,
) -> Examination:
    """Examine a journal without changing it; it may be in use.

    Args:
        folder: The journal.
        deep: Whether to hash every checkpoint, however large.
        fallback_folders: Where fallback files may be; by default where this user's trainings put them.
        kept: Folders in the journal's that are kept for others, and are nobody else's business either.
        record_of: Returns a trainer's own record of a run's epochs.
    """
    database = folder / "journal.db"
    beside = locations.fallback_folders() if fallback_folders is None else list(fallback_folders)
    findings = list(check_file(database, awaited=is_awaited(folder, beside)))
    inside = _Inside() if findings else _look_inside(database, deep, record_of)
    findings += [*inside.findings, *check_library()]
    if is_ours(database):
        findings += check_modes(folder, kept)
    if os.access(folder, os.X_OK):
        findings += check_disk(folder, inside.mode)
        findings += check_size(folder, inside.bytes)
    findings += [
        *(check_fallback_folder() if fallback_folders is None else ()),
        *check_fallbacks(folder, beside, inside.ingested),
    ]
    return Examination(folder, inside.events, inside.blobs, inside.bytes, tuple(findings))


@dataclass
class _Inside:
    """What is in the database, as far as it could be read."""

    events: int = 0
    blobs: int = 0
    bytes: int = 0
    mode: str | None = None
    findings: list[Finding] = field(default_factory=list)
    ingested: dict[str, int] = field(default_factory=dict)


def _look_inside(database: Path, deep: bool, record_of: RecordOf) -> _Inside:
    inside = _Inside()
    try:
        with reading(database) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                detail = f"{database} is empty: nothing was written to it yet"
                inside.findings.append(notice("journal-empty", detail, "Whoever opens it next completes it."))
                return inside
            inside.mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            inside.events = connection.execute("SELECT count(*) FROM events").fetchone()[0]
            inside.blobs = connection.execute("SELECT count(*) FROM blobs WHERE state = 'present'").fetchone()[0]
            inside.bytes = measure_by(lambda question: int(connection.execute(question).fetchone()[0])).total
            inside.ingested = dict(connection.execute("SELECT name, lines FROM fallback_imports").fetchall())
            inside.findings += check_rows(connection, database.parent)
            inside.findings += check_forks(connection)
            inside.findings += check_blobs(connection, database.parent / "blobs", deep=deep)
            inside.findings += check_refused(connection, database.parent)
            inside.findings += check_held_up(connection, database.parent)
            inside.findings += check_read_back(connection, database.parent)
            inside.findings += check_reached(connection, database.parent)
            inside.findings += check_age(connection, database)
            inside.findings += check_epochs(connection, database.parent, record_of)
    except (OSError, JournalUnavailable) as error:
        inside.findings.append(unreadable(error))
    except (JournalError, sqlite3.Error) as error:
        inside.findings.append(damaged(error, database))
    return inside
