"""Whether there is a journal, told without making one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from journal import locations
from journal.writing import fallback_owners


def is_there(folder: Path) -> bool:
    """Return whether a folder holds a journal, be it an unusable one."""
    try:
        return any((folder / name).exists() for name in ("journal.db", "journal.db-wal"))
    except PermissionError:  # whoever opens it is told so
        return True


def is_awaited(folder: Path, fallback_folders: Iterable[Path] | None = None) -> bool:
    """Return whether events wait in fallback files that were meant for this journal; see `waiting`."""
    return bool(waiting(folder, fallback_folders))


def waiting(folder: Path, fallback_folders: Iterable[Path] | None = None) -> list[Path]:
    """Return the fallback files that were meant for this journal.

    Args:
        folder: The journal.
        fallback_folders: Where such files may be; by default where this user's trainings put them.
    """
    beside = locations.fallback_folders() if fallback_folders is None else fallback_folders
    return [path for _, path in fallback_owners.files_by_owner(fallback_owners.owner_at(folder), beside).own]
