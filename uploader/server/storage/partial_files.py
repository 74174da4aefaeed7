"""The bytes received by unfinished transfers, each in one append-only file."""

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


class Writable(Protocol):
    """Accepts bytes."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


class PartialFiles:
    """A folder of append-only files.

    A file's size is the offset that is reported to clients. Bytes with a checksum are first written to a second file
    and checked, so that the first one never contains unchecked bytes, even if the process is killed.

    Args:
        root: The folder; created if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return the path of a file, whether or not it exists."""
        return self._root / f"{name}.part"

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, or 0 if it does not exist."""
        try:
            return self.path(name).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def receiving(self, name: str, checksum: Checksum | None) -> Iterator[Writable]:
        """Append to a file: at once, or with a checksum when the block ends, and only if all bytes match it.

        Raises:
            WrongChecksum: The bytes do not match the checksum.
        """
        if checksum is None:
            with _opened(self.path(name), "ab") as stream:
                yield stream
        else:
            with self._checked(name, checksum) as writable:
                yield writable

    def digest(self, name: str) -> str:
        """Flush a file to disk, and return the SHA-256 of its bytes as hex digits."""
        whole = hashlib.sha256()
        with _opened(
            self.path(name), "ab+"
        ) as stream:  # "a" creates the file if nothing has arrived, as for an empty file
            os.fsync(stream.fileno())
            stream.seek(0)
            while block := stream.read(_BLOCK):
                whole.update(block)
        return whole.hexdigest()

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        self.path(name).unlink(missing_ok=True)

    def remove_except(self, names: set[str]) -> None:
        """Remove all files except these, and unchecked bytes. Safe only while no transfer is receiving."""
        kept = {self.path(name) for name in names}
        for path in set(self._root.iterdir()) - kept:
            path.unlink()

    @contextmanager
    def _checked(self, name: str, checksum: Checksum) -> Iterator[Writable]:
        path = self._root / f"{name}.chunk"
        try:
            with _opened(path, "wb+") as chunk:
                writable = _Hashing(chunk, checksum.algorithm)
                yield writable
                if writable.digest != checksum.digest:
                    raise WrongChecksum("The bytes do not match the announced checksum: send them again")
                chunk.seek(0)
                with _opened(self.path(name), "ab") as stream:
                    shutil.copyfileobj(chunk, stream, _BLOCK)
        finally:
            path.unlink(missing_ok=True)


class _Hashing:
    """Writes to a file and hashes along the way."""

    def __init__(self, stream: BinaryIO, algorithm: str) -> None:
        self._stream = stream
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def write(self, data: bytes, /) -> None:
        """Append bytes."""
        self._stream.write(data)
        self._hash.update(data)

    @property
    def digest(self) -> bytes:
        """Digest of the bytes written so far."""
        return self._hash.digest()


def _opened(path: Path, mode: str) -> BinaryIO:
    def private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    return cast(BinaryIO, open(path, mode, opener=private))  # Path.open has no `opener`
