"""A shared journal's checkpoints in a folder that all machines mount, by NFS for example.

Nothing here depends on locks or mapped memory. A file is written and flushed under a temporary name, and then renamed.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from journal.checkpoints.blobs import BlobStore, delete, digest, write_all
from journal.disk import sync_folder
from journal.errors import BlobMissing, BlobsUnavailable
from journal.records import OpenedContent
from journal.shared_blobs.shared_store import NOTE, checked_chunks, collected_again, new_note, require_note

_FLUSHED_CHUNKS = 8  # a large flush would delay other writes to the same disk
_NOT_KNOWN = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
)  # to a mount that flushes no folder
_HINT = "is it mounted on this machine?"


@dataclass(frozen=True)
class SharedFile:
    """A blob; see `journal.records.Content`."""

    path: Path

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open it for reading. One that has vanished may be missing, or all of them: the next look at it tells."""
        try:
            return self.path.open(mode)
        except OSError as error:
            raise BlobsUnavailable(f"{self.path} cannot be read ({error.strerror}); {_HINT}") from error


class SharedFolder:
    """The checkpoints; see `journal.shared_blobs.shared_store.SharedBlobs`."""

    def __init__(self, folder: Path, journal: str | None) -> None:
        """Use a folder, for the journal with this uuid; nothing is written yet."""
        self.address = str(folder)
        self._folder, self._journal = folder, journal
        self._store = BlobStore(folder)

    def find(self, sha256: str) -> SharedFile:
        """Return a blob, to be opened for reading.

        Raises:
            BlobMissing: It is not there.
        """
        if self.size(sha256) is None:
            raise BlobMissing(f"checkpoint {sha256[:12]}… is not in {self.address}; it was removed or given up")
        return SharedFile(self._folder / sha256)

    def cure(self, save_dir: str, retry: str) -> str:
        """Say what brings back bytes that are missing."""
        return collected_again(save_dir, retry)

    def size(self, sha256: str) -> int | None:
        """Return the size of a blob; None if it is not there, although its place is."""
        try:
            return (self._folder / sha256).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            self._require()
            return None
        except OSError as error:
            raise self._failed(error, "read") from error

    def is_whole(self, sha256: str, size: int) -> bool:
        """Return whether a blob of this size is there, with the bytes that it is named for."""
        return self.size(sha256) == size and digest(self._folder / sha256) == sha256

    def put(self, file: OpenedContent, sha256: str, size: int, between: Callable[[], object] = lambda: None) -> None:
        """Keep a file's bytes; see `SharedBlobs`."""
        final = self._folder / sha256
        if self.is_whole(sha256, size):
            return
        self._write(final, checked_chunks(file, sha256, size, between))
        if digest(final) != sha256:
            raise BlobsUnavailable(
                f"checkpoint {sha256[:12]}… does not read back from {self.address} as it was written"
            )

    def names(self) -> list[str]:
        """Return the sha256 of each blob that is there, in order."""
        self._require()
        return self._store.names()

    def remove(self, sha256: str) -> None:
        """Remove a blob, if it is there; `clear` then frees its space."""
        self._store.remove(sha256)

    def clear(self) -> None:
        """Free the space of removed blobs."""
        self._store.clear()

    def sweep(self, now: float) -> None:
        """Delete removed blobs, and what killed processes left a day ago."""
        self._store.sweep(now)

    def claim(self) -> None:
        """Make this the place of the journal's checkpoints, unless it is already."""
        try:
            self._folder.mkdir(mode=0o770, exist_ok=True)
        except FileNotFoundError:
            raise BlobsUnavailable(
                f"{self.address} cannot be made, as {self._folder.parent} is not there: is it mounted, and spelled so? "
                "Only the last folder of a path is made"
            ) from None
        except OSError as error:
            raise self._failed(error, "written") from error
        if not (self._folder / NOTE).exists():
            self._write(self._folder / NOTE, [new_note(self._journal)], create=True)
        self._require()

    def _require(self) -> None:
        try:
            found = (self._folder / NOTE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError as error:
            raise self._failed(error, "read") from error
        require_note(found, self._journal, self.address, _HINT)

    def _write(self, final: Path, chunks: Iterable[bytes], *, create: bool = False) -> None:
        """Write a file under a temporary name, flush it and give it its name.

        Args:
            final: Its name.
            chunks: What is written.
            create: Whether a file that has that name meanwhile stays.
        """
        temporary = self._folder / f".tmp-{uuid.uuid4().hex}"
        try:
            _write_durably(temporary, chunks)
            if create:
                with suppress(FileExistsError):
                    final.hardlink_to(temporary)
            else:
                temporary.replace(final)
            _sync(self._folder)
        except OSError as error:
            raise self._failed(error, "written") from error
        finally:
            delete(temporary)

    def _failed(self, error: OSError, wanted: str) -> BlobsUnavailable:
        return BlobsUnavailable(
            f"the checkpoints in {self.address} cannot be {wanted} ({error.strerror}); "
            "check that it is mounted, its rights and its space"
        )


def _write_durably(file: Path, chunks: Iterable[bytes]) -> None:
    """Write a new file that whoever may use its folder may read."""
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        for number, chunk in enumerate(chunks, start=1):
            write_all(descriptor, chunk)
            if number % _FLUSHED_CHUNKS == 0:
                os.fsync(descriptor)
        os.fchmod(descriptor, file.parent.stat().st_mode & 0o666)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        if error.errno not in _NOT_KNOWN:
            raise
