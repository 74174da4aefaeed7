"""The bytes of transfers that have not ended, each in one file that only grows."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from uploader.server.http_errors import WrongChecksum
from uploader.server.tus_headers import Checksum

_BLOCK = 1024 * 1024  # bytes


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take more bytes."""


class PartialFiles:
    """A folder of files that grow.

    A file's size is the offset that clients are told. Bytes under a checksum are written to a file beside it first, so
    that it never holds any that were not checked, whenever the process ends.

    Args:
        root: The folder; made when it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return where a file is, or would be."""
        return self._root / f"{name}.part"

    def size(self, name: str) -> int:
        """Return how many bytes a file has; 0 when there is none."""
        try:
            return self.path(name).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def receiving(self, name: str, checksum: Checksum | None) -> Iterator[Sink]:
        """Add to a file what is written inside the block, at once; under a checksum, at its end and only as a whole.

        Raises:
            WrongChecksum: The bytes are not those that were announced.
        """
        if checksum is None:
            with _opened(self.path(name), "ab") as stream:
                yield stream
        else:
            with self._checked(name, checksum) as sink:
                yield sink

    def digest(self, name: str) -> str:
        """Bring a file to the disk, and return the SHA-256 of its bytes as hex digits."""
        whole = hashlib.sha256()
        with _opened(self.path(name), "ab+") as stream:  # made if nothing ever arrived: an empty file is one, too
            os.fsync(stream.fileno())
            stream.seek(0)
            while block := stream.read(_BLOCK):
                whole.update(block)
        return whole.hexdigest()

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        self.path(name).unlink(missing_ok=True)

    def remove_except(self, names: set[str]) -> None:
        """Remove every file but these, and what was never checked. Safe only while nothing arrives."""
        kept = {self.path(name) for name in names}
        for path in set(self._root.iterdir()) - kept:
            path.unlink()

    @contextmanager
    def _checked(self, name: str, checksum: Checksum) -> Iterator[Sink]:
        path = self._root / f"{name}.chunk"
        try:
            with _opened(path, "wb+") as chunk:
                sink = _Hashing(chunk, checksum.algorithm)
                yield sink
                if sink.digest != checksum.digest:
                    raise WrongChecksum("The bytes do not have the checksum that was announced: send them again")
                chunk.seek(0)
                with _opened(self.path(name), "ab") as stream:
                    shutil.copyfileobj(chunk, stream, _BLOCK)
        finally:
            path.unlink(missing_ok=True)


class _Hashing:
    """Writes to a file and hashes on the way."""

    def __init__(self, stream: BinaryIO, algorithm: str) -> None:
        self._stream = stream
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def write(self, data: bytes, /) -> None:
        """Append bytes."""
        self._stream.write(data)
        self._hash.update(data)

    @property
    def digest(self) -> bytes:
        """Digest of the bytes so far."""
        return self._hash.digest()


def _opened(path: Path, mode: str) -> BinaryIO:
    def private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    return cast(BinaryIO, open(path, mode, opener=private))  # Path.open knows no opener
