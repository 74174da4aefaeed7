"""A part of a mirror or a pack, as a source to restore from (`journal.mirror.stores.Source`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from journal.mirror.layout import BLOBS
from journal.mirror.stores import Listed, Source


class Only:
    """Some of the objects that are listed, and all checkpoints."""

    def __init__(self, store: Source, names: Collection[str]) -> None:
        """Read nothing yet.

        Args:
            store: What has them.
            names: Of the objects that are listed.
        """
        self._store = store
        self._names = names

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""
        return self._store.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        """Write an object into a new file; return False when it is not there."""
        return self._store.get_file(name, target)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield those of the objects whose names begin so."""
        return (Listed(name, 0) for name in sorted(self._names) if name.startswith(prefix))


class WithoutCheckpoints:
    """The small objects only."""

    def __init__(self, store: Source) -> None:
        """Read nothing yet.

        Args:
            store: What has them.
        """
        self._store = store

    def get(self, name: str) -> bytes | None:
        """Return an object; None for a checkpoint's, and when it is not there."""
        return None if name.startswith(BLOBS) else self._store.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        """Return False: no checkpoint is there."""
        del name, target
        return False

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so."""
        return self._store.list(prefix)
