"""The fallback files of a journal: which there are, and taking them in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from journal import locations
from journal.storage.backend import Begin
from journal.writing import fallback_format, fallback_intake, fallback_owners


class FallbackFiles:
    """What training processes had to write beside a journal, which they could not write to."""

    def __init__(self, begin: Begin, journal: Path) -> None:
        """Look at nothing yet.

        Args:
            begin: Begins a transaction of the journal.
            journal: Its folder.
        """
        self._begin = begin
        self._journal = journal

    def ingest(self, folders: Iterable[Path] | None = None) -> int:
        """Take in events that training processes had to write beside this journal; return how many were new."""
        chosen = locations.fallback_folders() if folders is None else folders
        return fallback_intake.ingest(self._begin, self._journal, chosen)

    def copy(self, path: Path) -> tuple[list[str], int]:
        """Take in the events that wait for a journal that cannot have them; the files stay.

        Args:
            path: The folder that they name.

        Returns:
            The runs that they are of, and how many events were new.

        Raises:
            OSError: A file could not be read to its end.
        """
        return fallback_intake.copy(self._begin, path, locations.fallback_folders())

    def waiting(self, path: Path, folders: Iterable[Path] | None = None) -> int:
        """Return how many fallback files hold events of this journal that it has not taken in.

        Args:
            path: The folder that they name; another one when this journal is a copy.
            folders: Where such files may be; by default where this user's trainings put them.
        """
        beside = locations.fallback_folders() if folders is None else folders
        with self._begin(read_only=True) as connection:
            own = fallback_owners.files_by_owner(fallback_owners.owner(connection, path), beside).own
            return len(fallback_format.not_ingested(connection, [file for _, file in own]))

    def elsewhere(self, path: Path | None = None, folders: Iterable[Path] | None = None) -> dict[str, int]:
        """Return how many fallback files wait beside this journal for others, by where each of those is.

        Args:
            path: The folder that files of this journal name; another one when this journal is a copy.
            folders: Where such files may be; by default where this user's trainings put them.
        """
        beside = locations.fallback_folders() if folders is None else folders
        with self._begin(read_only=True) as connection:
            found = fallback_owners.files_by_owner(fallback_owners.owner(connection, path or self._journal), beside)
            others = {place: fallback_format.not_ingested(connection, files) for place, files in found.others.items()}
        return {place: len(files) for place, files in others.items() if files}
