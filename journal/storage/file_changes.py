"""Whether anybody has written to a journal's files, without opening them."""

from __future__ import annotations

from pathlib import Path

from journal.storage.log_flush import log_of


class FileChanges:
    """Compares the times and sizes of a journal's files. The caller's own writes count, too."""

    def __init__(self, database: Path) -> None:
        """Know of no earlier look.

        Args:
            database: The journal's `journal.db`.
        """
        self._files = (log_of(database), database)
        self._seen: list[tuple[int, int] | None] = []

    def note(self) -> None:
        """Note that the journal is looked at from now on."""
        self._seen = self._stamps()

    def are_any(self) -> bool:
        """Return whether it was written to since."""
        return self._stamps() != self._seen

    def _stamps(self) -> list[tuple[int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        info = file.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size
