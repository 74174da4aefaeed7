"""A shared journal's checkpoints in an object store: one object each, named by its sha256.

An object appears when it is whole, be it sent by one request or in parts, so that a killed process leaves none behind.
The requests to S3 are signed with the digest of what they carry; what was sent is read back all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from journal.errors import BlobMissing, BlobsRefused, BlobsUnavailable
from journal.object_stores.object_client import PART, REFUSED, ObjectClient
from journal.records import OpenedContent
from journal.shared_blobs.ranged_reader import RangedReader
from journal.shared_blobs.shared_store import NOTE, checked_chunks, collected_again, new_note, require_note

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HINT = "is there such a bucket, and is the endpoint of the environment the right one?"


@dataclass(frozen=True)
class ObjectBlob:
    """A blob; see `journal.records.Content`."""

    objects: ObjectClient
    address: str
    sha256: str
    size: int

    def open(self, _mode: Literal["rb"], /) -> RangedReader:
        """Open it for reading; nothing is fetched yet."""
        return RangedReader(self._fetch, self.size, PART)

    def _fetch(self, start: int, length: int) -> memoryview:
        found = self.objects.part(self.sha256, start, length)
        if found is None:
            raise BlobsUnavailable(f"checkpoint {self.sha256[:12]}… was removed from {self.address} meanwhile")
        return found


class ObjectBlobs:
    """The checkpoints; see `journal.shared_blobs.shared_store.SharedBlobs`."""

    def __init__(self, address: str, journal: str | None) -> None:
        """Use a place such as `s3://bucket/folder`, of the journal with this uuid; nothing is sent yet.

        Raises:
            BlobsUnavailable: It cannot be used.
        """
        self.address = address
        self._journal = journal
        self._objects = ObjectClient(address, self._failed)

    def find(self, sha256: str) -> ObjectBlob:
        """Return a blob, to be opened for reading.

        Raises:
            BlobMissing: It is not there.
        """
        size = self.size(sha256)
        if size is None:
            raise BlobMissing(f"checkpoint {sha256[:12]}… is not in {self.address}; it was removed or given up")
        return ObjectBlob(self._objects, self.address, sha256, size)

    def cure(self, save_dir: str, retry: str) -> str:
        """Say what brings back bytes that are missing."""
        return collected_again(save_dir, retry)

    def size(self, sha256: str) -> int | None:
        """Return the size of a blob; None if it is not there, although its place is."""
        size = self._objects.size(sha256)
        if size is None:
            self._require()
        return size

    def is_whole(self, sha256: str, size: int) -> bool:
        """Return whether a blob of this size is there, with the bytes that it is named for."""
        return self.size(sha256) == size and self._objects.digest(sha256) == sha256

    def put(self, file: OpenedContent, sha256: str, size: int, between: Callable[[], object] = lambda: None) -> None:
        """Keep a file's bytes; see `SharedBlobs`."""
        if self.is_whole(sha256, size):
            return
        chunks = checked_chunks(file, sha256, size, between)
        if size > PART:
            self._objects.put_parts(sha256, chunks)
        elif not self._objects.create(sha256, content := b"".join(chunks)):  # damaged, or put by another one just now
            self._objects.put(sha256, content)
        if self._objects.digest(sha256) != sha256:
            raise BlobsUnavailable(
                f"checkpoint {sha256[:12]}… does not read back from {self.address} as it was written"
            )

    def names(self) -> list[str]:
        """Return the sha256 of each blob that is there, in order."""
        names = [found.name for found in self._objects.list()]
        if NOTE not in names:
            self._require()
        return sorted(name for name in names if _SHA256.fullmatch(name))

    def remove(self, sha256: str) -> None:
        """Remove a blob, if it is there."""
        self._objects.delete(sha256)

    def clear(self) -> None:
        """Do nothing: what is removed takes no space."""

    def sweep(self, now: float) -> None:
        """Do nothing: of what killed processes left, the store shows nothing."""

    def claim(self) -> None:
        """Make this the place of the journal's checkpoints, unless it is already."""
        self._objects.create(NOTE, new_note(self._journal))
        self._require()

    def _require(self) -> None:
        require_note(self._objects.get(NOTE), self._journal, self.address, _HINT)

    def _failed(self, wanted: str, why: str) -> BlobsUnavailable:
        told = f"the checkpoints in {self.address} cannot be {wanted}: {why}"
        return BlobsRefused(told) if why in REFUSED else BlobsUnavailable(told)
