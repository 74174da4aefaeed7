"""An object store as the store of a mirror: S3, Google Cloud Storage or Azure, by the library obstore.

Credentials and endpoints are those of the environment, under the names that each provider's own tools use, such as
`AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT_URL`. The library is not fork-safe, so a store is opened by the process that uses
it. Its errors tell URLs and answers, which may be signed, so none of their text is passed on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from journal.checkpoints.blobs import write_all
from journal.errors import MirrorUnavailable
from journal.mirror.stores import Listed

_CHUNK = 1 << 20
_PART = 8 << 20
# Plain HTTP only where the environment names such an endpoint; requests are signed, and no secret is in them.
_CLIENT = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_OTHERWISE = "it cannot be reached, or refuses; check its address and the network"
_REASONS = {
    "PermissionDeniedError": "its credentials are missing, wrong, or may not do this; check the environment",
    "UnauthenticatedError": "its credentials are missing or wrong; check the environment",
    "NotFoundError": "there is no such bucket or container; create it first",
    "FileNotFoundError": "there is no such bucket or container; create it first",
    "UnknownConfigurationKeyError": "the environment configures something that this version does not know",
}


class ObjectStore:
    """An object store; see `journal.mirror.stores.Store`. What it has answered is safe, so it confirms."""

    confirms = True

    def __init__(self, address: str) -> None:
        """Use a bucket or container, and a folder in it, by a URL such as `s3://bucket/folder`.

        Raises:
            MirrorUnavailable: It cannot be used.
        """
        self.address = address
        with self._errors("used"):
            self._store: Any = from_url(address, client_options=_CLIENT, retry_config=_RETRIES)

    def put(self, name: str, content: bytes) -> None:
        """Store an object, unless it is there."""
        if self._size(name) != len(content):
            self.put_part(name, content)

    def put_part(self, name: str, content: bytes) -> None:
        """Store an object; its answer says that it is there."""
        with self._errors("written"):
            obstore.put(self._store, name, content, use_multipart=False)

    def put_file(self, name: str, file: BinaryIO, sha256: str, between: Callable[[], object]) -> None:
        """Store a file as an object, unless it is there; one that was cut short is not there."""
        size = os.fstat(file.fileno()).st_size
        if self._size(name) == size:
            return
        digest = hashlib.sha256()
        with self._errors("written"), obstore.open_writer(self._store, name, buffer_size=_PART) as writer:
            for chunk in iter(partial(file.read, _CHUNK), b""):
                digest.update(chunk)
                writer.write(chunk)
                between()
            if digest.hexdigest() != sha256:
                raise MirrorUnavailable(f"a checkpoint changed while it was copied to the mirror {self.address}")
        if self._size(name) != size:
            raise MirrorUnavailable(f"{name} does not read back from the mirror {self.address} as it was written")

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""
        with self._errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def get_file(self, name: str, target: Path) -> bool:
        """Write an object into a new file, durably; return False when it is not there."""
        chunks = self._chunks(name)
        if chunks is None:
            return False
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with self._errors("read"):
                for chunk in chunks:
                    write_all(descriptor, bytes(chunk))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True

    def digest(self, name: str) -> str | None:
        """Return the sha256 of an object, read back; None when it is not there."""
        chunks, digest = self._chunks(name), hashlib.sha256()
        if chunks is None:
            return None
        with self._errors("read"):
            for chunk in chunks:
                digest.update(chunk)
        return digest.hexdigest()

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so; a prefix ends with a slash."""
        with self._errors("read"):
            for several in obstore.list(self._store, prefix=prefix or None):
                for found in several:
                    yield Listed(found["path"], found["size"], found["last_modified"].timestamp())

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with self._errors("written"), suppress(FileNotFoundError):  # Google and Azure say so, Amazon does not
            obstore.delete(self._store, name)

    def _size(self, name: str) -> int | None:
        with self._errors("read"):
            try:
                return int(obstore.head(self._store, name)["size"])
            except FileNotFoundError:
                return None

    def _chunks(self, name: str) -> Any:
        with self._errors("read"):
            try:
                return obstore.get(self._store, name).stream(min_chunk_size=_CHUNK)
            except FileNotFoundError:
                return None

    @contextmanager
    def _errors(self, wanted: str) -> Iterator[None]:
        """Raise errors of the library as ours, without their text."""
        try:
            yield
        except (BaseError, FileNotFoundError, ValueError) as error:
            why = _REASONS.get(
                type(error).__name__, "it cannot be reached, or refuses to; check its address and network"
            )
            raise MirrorUnavailable(f"the mirror {self.address} cannot be {wanted}: {why}") from None
