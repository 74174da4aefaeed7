"""A mirror that is recognised by its note before anything is written to it or deleted from it.

A mounted drive can go away and come back. Meanwhile its mount point is an empty folder, or another drive is there: what
is written then is not in the mirror, however well it reads back.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from journal.errors import MirrorUnavailable
from journal.mirror.stores import Listed, Store
from journal.reading.places import MIRROR_NOTE


class MarkedStore:
    """A store that is one certain mirror; see `Store`.

    Attributes:
        address: Where it is, as a person names it.
        confirms: Whether an object that was put is safe.
    """

    def __init__(self, store: Store, is_same: Callable[[], bool]) -> None:
        """Take a store for what it is found to be when it is marked.

        Args:
            store: The store.
            is_same: Whether a mirror with another note has all that this one is known to have: two machines may have
                made the mirror at the same moment.
        """
        self.address = store.address
        self.confirms = store.confirms
        self._store = store
        self._is_same = is_same
        self._note: bytes | None = None

    def mark(self) -> None:
        """Check that it is still the same mirror; make it one, if it never was.

        Raises:
            MirrorUnavailable: It is another mirror, or none any more.
        """
        if self._note is None:
            if self._store.get(MIRROR_NOTE) is None:
                self._store.put(MIRROR_NOTE, _new_note())
            self._note = self._store.get(MIRROR_NOTE)
        self._require()

    def put(self, name: str, content: bytes) -> None:
        """Store an object, unless it is there."""
        self._require()
        self._store.put(name, content)

    def put_part(self, name: str, content: bytes) -> None:
        """Store an object that is not there."""
        self._require()
        self._store.put_part(name, content)

    def put_file(self, name: str, file: BinaryIO, sha256: str, between: Callable[[], object]) -> None:
        """Store a file as an object, unless it is there."""
        self._require()
        self._store.put_file(name, file, sha256, between)

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""
        return self._store.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        """Write an object into a new file, durably; return False when it is not there."""
        return self._store.get_file(name, target)

    def digest(self, name: str) -> str | None:
        """Return the sha256 of an object, read back; None when it is not there."""
        return self._store.digest(name)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so; a prefix ends with a slash."""
        return self._store.list(prefix)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        self._require()
        self._store.delete(name)

    def _require(self) -> None:
        found = self._store.get(MIRROR_NOTE)
        if found is None:
            raise MirrorUnavailable(
                f"the mirror {self.address} cannot be found there: its {MIRROR_NOTE} is gone; is its drive mounted?"
            )
        if found != self._note and not self._is_same():
            raise MirrorUnavailable(f"another mirror is in {self.address} now; is the right drive mounted?")
        self._note = found


def _new_note() -> bytes:
    note = {
        "format": 1,
        "what": "a mirror of training runs that offline-uploader recorded",
        "restore": "python -m uploader restore <this folder or address>",
        "id": str(uuid.uuid4()),
    }
    return json.dumps(note, indent=2).encode() + b"\n"
