"""A checkpoint's bytes on their way out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from uploader.errors import BlobUnusable
from uploader.platforms.base import Progress

_BLOCK = 64 * 1024


class Body(Protocol):
    """The body of a request, read block by block; its length is known before."""

    def __len__(self) -> int:
        """Return the size in bytes."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in blocks."""
        ...

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        ...


class BlobReader:
    """Reads a file once, as the body of a request.

    The digest is checked before the last bytes are handed out. So a file that is not the one that was journaled never
    arrives whole, and the platform never stores it.
    """

    def __init__(self, path: Path, size: int, sha256: str, progress: Progress) -> None:
        """Open the file.

        Args:
            path: Where it is.
            size: How many bytes it must have.
            sha256: The digest that they must have, 64 hex digits.
            progress: Hears how many bytes were handed out so far.

        Raises:
            BlobUnusable: The file is missing, cannot be opened, or has another size.
        """
        self._path, self._size, self._sha256, self._progress = path, size, sha256, progress
        self._sent = 0
        self._digest = hashlib.sha256()
        try:
            self._file = path.open("rb")
            actual = path.stat().st_size
        except OSError as error:
            raise BlobUnusable(f"checkpoint {sha256[:12]} cannot be opened ({error.strerror})") from error
        if actual != size:
            self._file.close()
            raise BlobUnusable(f"checkpoint {sha256[:12]} has {actual} bytes instead of {size}")

    def __enter__(self) -> BlobReader:
        """Return itself; leaving closes the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return the size; `requests` takes `Content-Length` from it."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in blocks."""
        while block := self.read(_BLOCK):
            yield block

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises:
            BlobUnusable: The file cannot be read, ended early, or does not have the digest.
        """
        left = self._size - self._sent
        block = self._next(left if size < 0 else min(size, left))
        self._sent += len(block)
        self._digest.update(block)
        if block and self._sent == self._size and self._digest.hexdigest() != self._sha256:
            raise BlobUnusable(f"checkpoint {self._sha256[:12]} is damaged: its bytes have another sha256")
        self._progress(self._sent)
        return block

    def _next(self, size: int) -> bytes:
        try:
            block = self._file.read(size)
        except OSError as error:
            raise BlobUnusable(f"checkpoint {self._sha256[:12]} cannot be read ({error.strerror})") from error
        if size and not block:
            raise BlobUnusable(f"checkpoint {self._sha256[:12]} became shorter while it was sent")
        return block
