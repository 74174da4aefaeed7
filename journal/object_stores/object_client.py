"""The objects of an object store, by the library obstore.

Credentials and endpoints are those of the environment, under the names that each provider's own tools use, such as
`AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT_URL`. The library is not fork-safe, so a store is opened by the process that uses
it. Its errors tell URLs and answers, which may be signed, so none of their text is passed on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

PART = 8 << 20
"""Bytes of a large object that are sent or read by one request."""
_CHUNK = 1 << 20
_AT_ONCE = 4  # parts under way, each of which is in memory
# Plain HTTP only where the environment names such an endpoint; requests are signed, and no secret is in them.
_CLIENT = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_OTHERWISE = "it cannot be reached, or refuses to; check its address and network"
_REASONS = {
    "PermissionDeniedError": "its credentials are missing, wrong, or may not do this, or there is no such bucket; "
    "check its name and the environment",
    "UnauthenticatedError": "its credentials are missing or wrong; check the environment",
    "NotFoundError": "there is no such bucket or container; create it first",
    "FileNotFoundError": "there is no such bucket or container; create it first",
    "UnknownConfigurationKeyError": "the environment configures something that this version does not know",
}

REFUSED = frozenset(_REASONS.values())
"""What no retry mends."""

Failed = Callable[[str, str], Exception]
"""Makes the error to raise, from what was wanted, such as `read`, and why that cannot be done."""


class Found(NamedTuple):
    """An object that is there.

    Attributes:
        name: Its name.
        size: In bytes.
        written_at: In epoch seconds, by the store's clock.
    """

    name: str
    size: int
    written_at: float


class ObjectClient:
    """A bucket or container, or a folder in it. Each method raises what `failed` makes where it cannot be used."""

    def __init__(self, address: str, failed: Failed) -> None:
        """Use the store at a URL such as `s3://bucket/folder`; nothing is sent yet."""
        self._failed = failed
        with self._errors("used"):
            self._store: Any = from_url(address, client_options=_CLIENT, retry_config=_RETRIES)

    def size(self, name: str) -> int | None:
        """Return the size of an object; None when it is not there."""
        with self._errors("read"):
            try:
                return int(obstore.head(self._store, name)["size"])
            except FileNotFoundError:
                return None

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""
        with self._errors("read"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def part(self, name: str, start: int, length: int) -> memoryview | None:
        """Return some bytes of an object, where the library has them; None when it is not there."""
        with self._errors("read"):
            try:
                return memoryview(obstore.get_range(self._store, name, start=start, length=length))
            except FileNotFoundError:
                return None

    def chunks(self, name: str) -> Iterator[bytes] | None:
        """Return the bytes of an object, as they come; None when it is not there."""
        with self._errors("read"):
            try:
                return self._streamed(obstore.get(self._store, name).stream(min_chunk_size=_CHUNK))
            except FileNotFoundError:
                return None

    def _streamed(self, stream: Any) -> Iterator[bytes]:
        while True:
            with self._errors("read"):
                chunk = next(stream, None)
            if chunk is None:
                return
            yield bytes(chunk)

    def digest(self, name: str) -> str | None:
        """Return the sha256 of an object, read back; None when it is not there."""
        chunks, digest = self.chunks(name), hashlib.sha256()
        if chunks is None:
            return None
        for chunk in chunks:
            digest.update(chunk)
        return digest.hexdigest()

    def put(self, name: str, content: bytes) -> None:
        """Store an object; its answer says that it is there."""
        with self._errors("written"):
            obstore.put(self._store, name, content, use_multipart=False)

    def create(self, name: str, content: bytes) -> bool:
        """Store an object; return False when there is one already, which stays as it is."""
        with self._errors("written"):
            try:
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    def put_parts(self, name: str, chunks: Iterable[bytes]) -> None:
        """Store an object in parts. It is there once all are; what `chunks` raises gives it up."""
        opened = obstore.open_writer(self._store, name, buffer_size=PART, max_concurrency=_AT_ONCE)
        with self._errors("written"), opened as writer:
            for chunk in chunks:
                writer.write(chunk)

    def list(self, prefix: str = "") -> Iterator[Found]:
        """Yield the objects whose names begin so; a prefix ends with a slash."""
        with self._errors("read"):
            for several in obstore.list(self._store, prefix=prefix or None):
                for found in several:
                    yield Found(found["path"], found["size"], found["last_modified"].timestamp())

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with self._errors("written"), suppress(FileNotFoundError):  # Google and Azure say so, Amazon does not
            obstore.delete(self._store, name)

    @contextmanager
    def _errors(self, wanted: str) -> Iterator[None]:
        """Raise errors of the library as ours, without their text."""
        try:
            yield
        except (BaseError, FileNotFoundError, ValueError) as error:
            raise self._failed(wanted, _REASONS.get(type(error).__name__, _OTHERWISE)) from None
