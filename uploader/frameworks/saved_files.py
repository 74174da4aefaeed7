"""Which files a trainer has saved since they were last looked at."""

from __future__ import annotations

from pathlib import Path


class SavedFiles:
    """The files that were recorded last, by their role."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int, int, int]] = {}

    def is_new(self, role: str, path: Path) -> bool:
        """Return whether a file is another than the one of this role before, or was written again."""
        try:
            found = path.stat()
        except OSError:
            return False
        known = (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
        is_new = self._seen.get(role) != known
        self._seen[role] = known
        return is_new
