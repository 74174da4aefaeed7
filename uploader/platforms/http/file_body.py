"""Request bodies that are read block by block, such as the bytes of a checkpoint."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType

from journal.errors import BlobsUnavailable
from journal.records import Content
from uploader.errors import BlobUnusable, DeliveryError, Transient
from uploader.platforms.base import UploadProgress

BLOCK = 64 * 1024
"""Bytes per block, unless the reader asks for another number."""
DIGESTED = 1024 * 1024
"""Bytes per block of what is only digested."""


class BlobUnreadable(DeliveryError):
    """The file cannot be read now, but maybe later: too many files are open, its disk or its store does not respond."""


class StoreAway(BlobUnreadable, Transient):
    """What keeps the files of a shared journal does not give them now; nobody asks it for many until it does."""


class Body(ABC):
    """The body of a request, read block by block; its length is known beforehand."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the size in bytes; `requests` takes `Content-Length` from it."""

    @abstractmethod
    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in blocks."""
        while block := self.read(BLOCK):
            yield block


class BlobReader(Body):
    """Reads a file, as the body of a request or piece by piece.

    The digest is checked before the last bytes are returned. So a file that is not the one that was journaled never
    arrives completely, and the platform never stores it.
    """

    def __init__(self, content: Content, size: int, sha256: str, progress: UploadProgress) -> None:
        """Open the file.

        Args:
            content: What is to be read.
            size: How many bytes it must have.
            sha256: The digest that they must have, 64 hex digits.
            progress: Told, for each block, at which offset it ends.

        Raises:
            BlobUnusable: The file is missing, or has another size.
            BlobUnreadable: It cannot be opened now.
        """
        self._size, self._sha256, self._progress = size, sha256, progress
        self._position, self._digest = 0, hashlib.sha256()
        self._mark = self._position, self._digest.copy()
        try:
            self._file = content.open("rb")
            actual = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
        except OSError as error:
            kind = BlobUnusable if isinstance(error, FileNotFoundError) else BlobUnreadable
            raise kind(f"the file {sha256[:12]} cannot be opened ({error.strerror})") from error
        except BlobsUnavailable as error:
            raise StoreAway(f"the file {sha256[:12]} cannot be opened: {error}") from error
        if actual != size:
            self._file.close()
            raise BlobUnusable(f"the file {sha256[:12]} has {actual} bytes instead of {size}")

    def __enter__(self) -> BlobReader:
        """Return itself; leaving closes the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return the size of the whole file."""
        return self._size

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return self._size - self._position

    def digest_of_next(self, size: int, algorithm: str) -> bytes:
        """Return the digest of the next bytes, which are still to be read.

        Raises:
            BlobUnusable: The file ended early.
            BlobUnreadable: It cannot be read now.
        """
        digest, left = hashlib.new(algorithm, usedforsecurity=False), size
        while left:
            block = self._next(min(DIGESTED, left))
            digest.update(block)
            left -= len(block)
        self._file.seek(self._position)
        return digest.digest()

    def seek(self, offset: int) -> None:
        """Continue at `offset`; skipped bytes are still part of the digest.

        Raises:
            BlobUnusable: The file is not the one that was journaled.
            BlobUnreadable: It cannot be read now.
        """
        if offset != self._position:
            self._go_back(offset)
        while self._position < offset:
            self.read(min(BLOCK, offset - self._position))
        self._mark = self._position, self._digest.copy()

    def _go_back(self, offset: int) -> None:
        # The last offset is remembered, because an interrupted chunk is sent again, and reading the file up to it each
        # time would take long.
        self._position, digest = self._mark if self._mark[0] <= offset else (0, hashlib.sha256())
        self._digest = digest.copy()
        self._file.seek(self._position)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises:
            BlobUnusable: The file ended early, or does not have the digest.
            BlobUnreadable: It cannot be read now.
        """
        block = self._next(self.left if size < 0 else min(size, self.left))
        self._position += len(block)
        self._digest.update(block)
        if block and self._position == self._size and self._digest.hexdigest() != self._sha256:
            raise BlobUnusable(f"the file {self._sha256[:12]} is damaged: its bytes have another sha256")
        self._progress(self._position)
        return block

    def _next(self, size: int) -> bytes:
        try:
            block = self._file.read(size)
        except OSError as error:
            raise BlobUnreadable(f"the file {self._sha256[:12]} cannot be read ({error.strerror})") from error
        except BlobsUnavailable as error:
            raise StoreAway(f"the file {self._sha256[:12]} cannot be read: {error}") from error
        if size and not block:
            raise BlobUnusable(f"the file {self._sha256[:12]} became shorter while it was sent")
        return block


class Chunk(Body):
    """The next bytes of a file, read while they are sent."""

    def __init__(self, blob: BlobReader, size: int) -> None:
        """Prepare.

        Args:
            blob: The file, at the chunk's first byte.
            size: How many bytes, unless the file ends before.
        """
        self._blob = blob
        self._size = self._left = min(size, blob.left)

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self._size

    @property
    def sent(self) -> int:
        """How many bytes were read."""
        return self._size - self._left

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises:
            BlobUnusable: The file ended early, or does not have the digest.
            BlobUnreadable: It cannot be read now.
        """
        block = self._blob.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block

    def digest(self, algorithm: str) -> bytes:
        """Return the digest of all its bytes, before any was read."""
        return self._blob.digest_of_next(self._size, algorithm)
