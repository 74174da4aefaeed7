"""Where a mirror's objects are kept: a small protocol, and a folder as the store.

A folder may be a mounted drive: nothing here locks, maps memory or appends, and nothing depends on a rename being
atomic, because the content of an object is checked against its name whenever it is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, Protocol

from journal.checkpoints.blobs import write_all
from journal.disk import FULL, sync_folder
from journal.errors import MirrorUnavailable, from_os
from journal.locations import surroundings
from journal.surroundings.machines import COLAB

_CHUNK = 1 << 20
_DRIVE = Path("/content/drive")
_FLUSHED_CHUNKS = 8  # a large flush would delay other writes to the same disk
_TEMPORARY = ".tmp-"
# What file systems answer that do not know a call, as opposed to one that fails.
_NOT_KNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EXDEV})


class Listed(NamedTuple):
    """An object of a store.

    Attributes:
        name: Its name.
        size: In bytes.
        written_at: In epoch seconds, by the store's clock; 0 where that is not told.
    """

    name: str
    size: int
    written_at: float = 0.0


class Source(Protocol):
    """Has objects under names, to be read. Every method raises `MirrorUnavailable` when it cannot be used.

    Several threads may read different objects at once.
    """

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""

    def get_file(self, name: str, target: Path) -> bool:
        """Write an object into a new file, durably; return False when it is not there."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so; a prefix ends with a slash."""


class Store(Source, Protocol):
    """Keeps objects under names. Every method raises `MirrorUnavailable` when the store cannot be used.

    Attributes:
        address: Where it is, as a person names it.
        confirms: Whether an object that was put is safe: the store itself has answered. Otherwise it was only handed
            over to something that sends it later.
    """

    address: str
    confirms: bool

    def put(self, name: str, content: bytes) -> None:
        """Store an object, unless it is there."""

    def put_part(self, name: str, content: bytes) -> None:
        """Store an object of which the caller knows that it is not there, or not whole."""

    def put_file(self, name: str, file: BinaryIO, sha256: str, between: Callable[[], object]) -> None:
        """Store a file as an object, unless it is there.

        Args:
            name: The object's.
            file: Open for reading; it may have been deleted since.
            sha256: Of its content.
            between: Called now and then, as this may take long.
        """

    def digest(self, name: str) -> str | None:
        """Return the sha256 of an object, read back; None when it is not there."""

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""


class FolderStore:
    """A folder as a store; see `Store`."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when something is put."""
        self.folder = folder
        self.address = str(folder)
        here = surroundings()
        self.confirms = not here.place(folder).sends_later
        # Whatever is made in the mount point keeps Drive from being mounted there, and is lost with the session.
        is_of_drive = here.machine is COLAB and _DRIVE in folder.parents
        self._is_mounted = not is_of_drive or here.place(folder).sends_later

    def put(self, name: str, content: bytes) -> None:
        """Store an object, unless it is there."""
        if self.get(name) != content:
            self.put_part(name, content)

    def put_part(self, name: str, content: bytes) -> None:
        """Store an object."""
        self._write(name, lambda descriptor: write_all(descriptor, content))
        if self.get(name) != content:
            raise MirrorUnavailable(f"{self.folder / name} does not read back as it was written")

    def put_file(self, name: str, file: BinaryIO, sha256: str, between: Callable[[], object]) -> None:
        """Store a file as an object, unless it is there."""
        if self._digest(name, between) == sha256:
            return
        self._write(name, lambda descriptor: _copy(file, descriptor, between))
        if self._digest(name, between) != sha256:
            raise MirrorUnavailable(f"{self.folder / name} does not read back as it was written")

    def get(self, name: str) -> bytes | None:
        """Return an object; None when it is not there."""
        try:
            with (self.folder / name).open("rb", buffering=0) as file:
                return file.readall()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(error, "read") from error

    def get_file(self, name: str, target: Path) -> bool:
        """Write an object into a new file, durably; return False when it is not there."""
        try:
            descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                with (self.folder / name).open("rb", buffering=0) as file:
                    _copy(file, descriptor, lambda: None)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            target.unlink(missing_ok=True)
            return False
        except OSError as error:
            target.unlink(missing_ok=True)
            raise (from_os(error, target) if error.errno in FULL else self._failed(error, "read")) from error
        return True

    def digest(self, name: str) -> str | None:
        """Return the sha256 of an object, read back; None when it is not there."""
        return self._digest(name, lambda: None)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so; a prefix ends with a slash."""
        waiting = [self.folder / prefix]
        while waiting:
            try:
                folders, found = self._entries(waiting.pop())
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise self._failed(error, "read") from error
            waiting += reversed(folders)
            yield from found

    def _entries(self, folder: Path) -> tuple[Sequence[Path], Sequence[Listed]]:
        """Return the folders and the objects that are directly in a folder, in order."""
        folders: list[Path] = []
        found: list[Listed] = []
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    folders.append(Path(entry))
                elif entry.is_file() and not entry.name.startswith(_TEMPORARY):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        status = entry.stat()
                        name = Path(entry).relative_to(self.folder).as_posix()
                        found.append(Listed(name, status.st_size, status.st_mtime))
        return folders, found

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error, "written") from error

    def _write(self, name: str, write: Callable[[int], object]) -> None:
        """Write an object under a temporary name, flush it and rename it."""
        if not self._is_mounted:
            raise MirrorUnavailable(
                f"the mirror {self.folder} is on Drive, which is not mounted: first run `drive.mount('{_DRIVE}')` and "
                "begin anew"
            )
        final = self.folder / name
        temporary = final.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        try:
            final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                write(descriptor)
                _flush(descriptor)
            finally:
                os.close(descriptor)
            _rename(temporary, final)
            with suppress(OSError):  # some mounts cannot flush a folder
                sync_folder(final.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._failed(error, "written") from error

    def _digest(self, name: str, between: Callable[[], object]) -> str | None:
        digest = hashlib.sha256()
        try:
            with (self.folder / name).open("rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    between()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(error, "read") from error
        return digest.hexdigest()

    def _failed(self, error: OSError, wanted: str) -> MirrorUnavailable:
        where = f": {error.filename}" if error.errno == errno.ELOOP else ""
        return MirrorUnavailable(f"the mirror {self.folder} cannot be {wanted} ({error.strerror or error}{where})")


def _copy(file: IO[bytes], descriptor: int, between: Callable[[], object]) -> None:
    for number, chunk in enumerate(iter(partial(file.read, _CHUNK), b""), start=1):
        write_all(descriptor, chunk)
        if number % _FLUSHED_CHUNKS == 0:
            _flush(descriptor)
        between()


def _rename(temporary: Path, final: Path) -> None:
    """Give an object its name; where a mount knows no rename, by copying it, which is read back like all others."""
    try:
        temporary.replace(final)
    except OSError as error:
        if error.errno not in _NOT_KNOWN:
            raise
        descriptor = os.open(final, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            with temporary.open("rb", buffering=0) as file:
                _copy(file, descriptor, lambda: None)
            _flush(descriptor)
        finally:
            os.close(descriptor)
        temporary.unlink()


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_KNOWN:
            raise
