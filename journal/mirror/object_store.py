"""An object store as the store of a mirror."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from journal.checkpoints.blobs import write_all
from journal.errors import MirrorUnavailable
from journal.mirror.stores import Listed
from journal.object_stores.object_client import ObjectClient

_CHUNK = 1 << 20


class ObjectStore:
    """An object store; see `journal.mirror.stores.Store`. What it has answered is safe, so it confirms."""

    confirms = True

    def __init__(self, address: str) -> None:
        """Use a bucket or container, and a folder in it, by a URL such as `s3://bucket/folder`.

        Raises:
            MirrorUnavailable: It cannot be used.
        """
        self.address = address
        self._objects = ObjectClient(address, self._failed)

    def put(self, name: str, content: bytes) -> None:
        """Store an object, unless it is there."""
        if self._objects.size(name) != len(content):
            self.put_part(name, content)

    def put_part(self, name: str, content: bytes) -> None:
        """Store an object; its answer says that it is there."""
        self._objects.put(name, content)

    def put_file(self, name: str, file: BinaryIO, sha256: str, between: Callable[[], object]) -> None:
        """Store a file as an object, unless it is there; one that was cut short is not there."""
        size = os.fstat(file.fileno()).st_size
        if self._objects.size(name) == size:
            return
        self._objects.put_parts(name, self._checked(file, sha256, between))
        if self._objects.size(name) != size:
            raise MirrorUnavailable(f"{name} does not read back from the mirror {self.address} as it was written")

    def _checked(self, file: BinaryIO, sha256: str, between: Callable[[], object]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in iter(partial(file.read, _CHUNK), b""):
            digest.update(chunk)
            yield chunk
            between()
        if digest.hexdigest() != sha256:
            raise MirrorUnavailable(f"a checkpoint changed while it was copied to the mirror {self.address}")

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""
        return self._objects.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        """Write an object into a new file, durably; return False when it is not there."""
        chunks = self._objects.chunks(name)
        if chunks is None:
            return False
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            for chunk in chunks:
                write_all(descriptor, chunk)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True

    def digest(self, name: str) -> str | None:
        """Return the sha256 of an object, read back; None when it is not there."""
        return self._objects.digest(name)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so; a prefix ends with a slash."""
        for found in self._objects.list(prefix):
            yield Listed(*found)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        self._objects.delete(name)

    def _failed(self, wanted: str, why: str) -> MirrorUnavailable:
        return MirrorUnavailable(f"the mirror {self.address} cannot be {wanted}: {why}")
