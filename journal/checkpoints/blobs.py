"""Checkpoint bytes, addressed by their sha256.

A trainer rewrites its files in place and strips them at the end, which would change a hard link, too. So a snapshot is
a reflink if the file system supports it, else a copy that is hashed in the same pass. A file that changed meanwhile is
recognised by its size, inode and modification time, and its copy is discarded.

Trainers write the same bytes twice: `best.pt` is `last.pt` after an epoch that was the best. So a file is first
compared with the newest blob that was copied here, which takes an eighth of the time and writes nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from journal.disk import give_to_owner_of, sync_folder
from journal.errors import BlobMissing, SourceChanged, from_os

_CHUNK = 1 << 20
# A large fsync delays every other commit on the disk; syncing as we go keeps that delay short.
_FLUSH_EVERY = 8 << 20
# File times advance by the kernel's tick (1 to 10 ms). A file younger than this could be rewritten within one tick and
# show the same times; git calls such an entry "racily clean".
_SETTLED_SECONDS = 0.05
_DIGITS = 64  # of a sha256
_FICLONE = 0x40049409  # linux/fs.h
STALE_SECONDS = 24 * 3600.0

FileStamp = tuple[int, int, int]


@dataclass(frozen=True)
class Snapshot:
    """A whole and durable copy of a file, not yet part of the journal.

    Attributes:
        path: Where the copy lies, in the blob folder under a temporary name.
        sha256: 64 hex digits.
        size: Bytes.
        is_prepared: Whether the bytes have their final name, too, and that is durable.
        is_shared: Whether it shares its blocks with the file (a reflink), so that nothing was written.
    """

    path: Path
    sha256: str
    size: int
    is_prepared: bool = False
    is_shared: bool = False


class BlobStore:
    """The blob folder of one journal."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which exists."""
        self.folder = folder
        self._newest: Snapshot | None = None

    def path(self, sha256: str) -> Path:
        """Return where the blob lies.

        Raises:
            BlobMissing: It is not there.
        """
        path = self.folder / sha256
        if not path.is_file():
            raise BlobMissing(f"checkpoint {sha256[:12]}… is not in {self.folder}; it was removed or given up")
        return path

    def find(self, sha256: str) -> Path:
        """Return the blob, for whoever only reads it; see `journal.checkpoints.blob_access.Blobs`.

        Raises:
            BlobMissing: It is not there.
        """
        return self.path(sha256)

    def cure(self, save_dir: str, retry: str) -> str:
        """Say what brings back bytes that are missing, with the command that then sends them."""
        return f"if the trainer's file in {save_dir} is still the same, `{retry}` takes it from there"

    def snapshot(
        self, source: Path, expected: FileStamp | None = None, wait: Callable[[float], object] = time.sleep
    ) -> Snapshot:
        """Copy and hash a file as it is now.

        Args:
            source: The trainer's file.
            expected: What `file_stamp` returned for the file that is meant; None for the file as it is now.
            wait: Called with seconds, to wait until a very young file is settled.

        Returns:
            The copy; hand it to `Writer.add_checkpoint`, or to `discard`.

        Raises:
            SourceChanged: The file is gone, cannot be read, or was rewritten while it was copied.
            JournalUnavailable: The copy cannot be written.
        """
        copy = self.folder / f".tmp-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            with _open_source(source) as reader:
                _let_settle(reader.fileno(), wait)
                before = _stamp_of(os.fstat(reader.fileno()))
                if expected not in {None, before}:
                    raise SourceChanged(f"{source} was rewritten before it was copied")
                taken = self._repeated(reader.fileno(), copy) or _copied(reader.fileno(), copy)
                give_to_owner_of(copy, self.folder)
                # By name: that also tells another file in its place; its inode is not used again while it is open.
                if before != file_stamp(source):
                    raise SourceChanged(f"{source} was rewritten while it was copied")
        except BaseException as error:
            delete(copy)
            if isinstance(error, OSError):
                raise from_os(error, copy) from error
            raise
        self._newest = taken
        return taken

    def _repeated(self, source: int, copy: Path) -> Snapshot | None:
        """Give the newest blob another name if the file has the same bytes; None if not, or there is no such blob.

        That name keeps the bytes, whatever becomes of the blob meanwhile.
        """
        newest = self._newest
        if newest is None or newest.size != os.fstat(source).st_size:
            return None
        try:
            copy.hardlink_to(self.folder / newest.sha256)
            if _is_same(source, copy):
                return replace(newest, path=copy)
        except OSError:  # there are no hard links here, the blob was removed, or cannot be read
            pass
        delete(copy)
        os.lseek(source, 0, os.SEEK_SET)
        return None

    def prepare(self, snapshot: Snapshot) -> Snapshot:
        """Give the copy its final name, too, durably, so that `publish` has nothing to wait for, as a rule.

        Raises:
            JournalUnavailable: The name cannot be made durable.
        """
        final = self.folder / snapshot.sha256
        try:
            with suppress(FileExistsError):
                final.hardlink_to(snapshot.path)
        except OSError:  # no hard links here
            return snapshot
        try:
            sync_folder(self.folder)
        except OSError as error:
            raise from_os(error, final) from error
        return replace(snapshot, is_prepared=True)

    def publish(self, snapshot: Snapshot) -> None:
        """Give the copy its final name, durably; if the bytes are already there, the copy is left to `discard`.

        Called in the transaction that refers to the bytes, so that nobody removes them meanwhile.
        """
        final = self.folder / snapshot.sha256
        try:
            is_there = final.is_file() and final.stat().st_size == snapshot.size
            if not is_there:
                snapshot.path.replace(final)
            if not (is_there and snapshot.is_prepared):
                sync_folder(self.folder)
        except OSError as error:
            raise from_os(error, final) from error

    def discard(self, snapshot: Snapshot) -> None:
        """Delete a copy that is not needed; one that cannot be deleted yet is left to `sweep`."""
        delete(snapshot.path)

    def remove(self, sha256: str) -> None:
        """Remove a blob from the store at once, if it is there; `clear` then frees its space.

        If the system refuses that for now, the next attempt removes it.
        """
        with suppress(OSError):
            (self.folder / sha256).rename(self.folder / f".removed-{sha256}")

    def clear(self) -> None:
        """Free the space of removed blobs, as far as the system allows it now.

        This takes tens of milliseconds per 100 MB, so no lock is held that an event could wait for.
        """
        for removed in self.folder.glob(".removed-*"):
            delete(removed)

    def names(self) -> list[str]:
        """Return the sha256 of each blob that is there, in order; file systems list them in any."""
        return sorted(path.name for path in self.folder.glob("[0-9a-f]*") if len(path.name) == _DIGITS)

    def sweep(self, now: float) -> None:
        """Delete what killed processes left: removed blobs, and copies a day old; `now` is in epoch seconds."""
        self.clear()
        for leftover in self.folder.glob(".tmp-*"):
            with suppress(OSError):  # its process has just published it, or it cannot be deleted yet
                if abs(now - leftover.stat().st_mtime) > STALE_SECONDS:  # or written by a clock that was ahead
                    leftover.unlink()


def file_stamp(path: Path) -> FileStamp | None:
    """Return what changes when the file at `path` is rewritten (inode, size, mtime in ns); None when there is none."""
    try:
        return _stamp_of(path.stat())
    except OSError:
        return None


def delete(file: Path) -> bool:
    """Delete a file that nothing refers to; return whether it is gone.

    Some file systems do not delete a file that somebody is reading, such as a backup: that is no error.
    """
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def digest(path: Path) -> str | None:
    """Return the sha256 of a file's bytes; None where it cannot be read."""
    try:
        with FileIO(path, "rb") as reader:
            return _hash(reader.fileno())[0]
    except OSError:
        return None


def _open_source(source: Path) -> FileIO:
    try:
        return FileIO(source, "rb")
    except OSError as error:
        raise SourceChanged(f"{source} cannot be read ({error.strerror})") from error


def _let_settle(descriptor: int, wait: Callable[[float], object]) -> None:
    age = time.time() - os.fstat(descriptor).st_mtime
    if 0 <= age < _SETTLED_SECONDS:
        wait(_SETTLED_SECONDS - age)


def _stamp_of(status: os.stat_result) -> FileStamp:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _copied(source: int, target: Path) -> Snapshot:
    sha256, size, is_shared = _copy(source, target)
    return Snapshot(target, sha256, size, is_shared=is_shared)


def _copy(source: int, target: Path) -> tuple[str, int, bool]:
    """Copy by reflink, else byte by byte; return sha256 and size of the durable copy, and whether it is a reflink."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        cloned = _reflink(source, descriptor)
        hashed = _hash(descriptor) if cloned else _copy_and_hash(source, descriptor)
        os.fsync(descriptor)
        return *hashed, cloned
    finally:
        os.close(descriptor)


def _reflink(source: int, target: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
        return True
    except OSError:
        return False


def _hash(descriptor: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := os.read(descriptor, _CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _copy_and_hash(source: int, target: int) -> tuple[str, int]:
    digest, size, unflushed, before = hashlib.sha256(), 0, 0, os.fstat(source)
    while chunk := _read(source):
        digest.update(chunk)
        write_all(target, chunk)
        size += len(chunk)
        unflushed += len(chunk)
        if unflushed >= _FLUSH_EVERY:
            if _stamp_of(os.fstat(source)) != _stamp_of(before):  # nobody wants the rest
                raise SourceChanged("a checkpoint of the trainer's was rewritten while it was copied")
            os.fsync(target)
            unflushed = 0
    return digest.hexdigest(), size


def _is_same(source: int, other: Path) -> bool:
    """Return whether an open file, from where it is read next, and another one have the same bytes."""
    with FileIO(other, "rb") as reader:
        while (chunk := _read(source)) == os.read(reader.fileno(), _CHUNK):
            if not chunk:
                return True
    return False


def _read(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK)
    except OSError as error:  # told apart from a copy that cannot be written: the trainer's disk may be another one
        raise SourceChanged(f"a checkpoint of the trainer's cannot be read ({error.strerror})") from error


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all bytes; the system may accept fewer at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
