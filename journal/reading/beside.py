"""What trainings left beside a journal that it does not hold yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from journal import locations
from journal.checkpoints.salvage import lost_snapshots
from journal.writing import fallback_format, fallback_owners


def is_awaited(folder: Path, fallback_folders: Iterable[Path] | None = None) -> bool:
    """Return whether fallback files hold events for this journal; see `waiting`."""
    return bool(waiting(folder, fallback_folders))


def waiting(folder: Path, fallback_folders: Iterable[Path] | None = None) -> list[Path]:
    """Return the fallback files that were meant for this journal.

    Args:
        folder: The journal.
        fallback_folders: Where such files may be; by default where this user's trainings put them.
    """
    beside = locations.fallback_folders() if fallback_folders is None else fallback_folders
    return [path for _, path in fallback_owners.files_by_owner(fallback_owners.owner_at(folder), beside).own]


def waiting_elsewhere(folder: Path) -> dict[str, int]:
    """Return how many fallback files were meant for other journals, by where each of these is.

    Args:
        folder: The journal, which may be missing.
    """
    found = fallback_owners.files_by_owner(fallback_owners.owner_at(folder), locations.fallback_folders())
    return {place: len(files) for place, files in found.others.items()}


def left_beside(connection: Connection, folder: Path, beside: Iterable[Path], now: datetime) -> list[tuple[str, Path]]:
    """Return the uuid of the run, and the path, of each such file; "" for the uuid of one that cannot be read.

    Args:
        connection: To the journal's database.
        folder: Where the journal is.
        beside: Where fallback files may be.
        now: The current time.
    """
    found = fallback_owners.files_by_owner(fallback_owners.owner(connection, folder), beside)
    waiting = set(fallback_format.not_ingested(connection, [path for _, path in found.own]))
    files = [(header.run.id, path) for header, path in found.own if path in waiting]
    files += [("", path) for path in found.unreadable if fallback_format.unreadable_reason(path)]
    return files + [(lost.run_id, lost.path) for lost in lost_snapshots(connection, now)]
