"""Whether a disk is full, which one a file is on, who owns it, replacing it whole, making a folder's entries durable.

SQLite reports an exhausted quota or a lack of inodes as an I/O error; only trying to write tells them apart.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_LASTING = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})
_FILE_NAME = "x" * 64  # as long as the names of the files that we create
_PROBE = 64 << 10  # the index of a log, and a few pages of it


def why_full(folder: Path) -> str | None:
    """Return in words why a folder's disk is full; None if it is not, or if that is unknown."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return fullness(error, folder) if error.errno in FULL else None
    return None


def why_no_files(folder: Path) -> str | None:
    """Return in words why no file can be created in a folder, which may not exist yet; None if one can.

    A full disk may have space later.
    """
    error = _refusal(folder)
    return None if error is None or error.errno in FULL else _in_words(error)


def why_never_files(folder: Path) -> str | None:
    """Return the same for a reason that lasts: no permission, or a read-only disk."""
    error = _refusal(folder)
    return _in_words(error) if error and error.errno in _LASTING else None


def same_disk(path: Path, other: Path) -> bool:
    """Return whether two files or folders are on one file system; also where that cannot be told."""
    try:
        return path.stat().st_dev == other.stat().st_dev
    except OSError:
        return True


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file of this user's whole or not at all, in place of one that may be there; see `file_to_replace`.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    target = file_to_replace(path)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        with suppress(OSError):  # some file systems cannot flush a folder
            sync_folder(target.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def file_to_replace(path: Path) -> Path:
    """Return the file that a path leads to, also by links, which a rename may replace; there may be none yet.

    A rename would also replace a device, a FIFO or the link itself, which nobody means by naming a file.

    Raises:
        OSError: Something else is there.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    for one in (path, target):  # of a pipe, such as behind `/dev/stdout`, only the link tells
        if one.exists() and not one.is_file():
            raise OSError(errno.EINVAL, "it is not a regular file, and is not replaced; name another file", str(path))
    return target


def _refusal(folder: Path) -> OSError | None:
    """Try to create a file in a folder; permissions do not tell, because root seems to have any, even in `/proc`."""
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    try:
        if not stat.S_ISDIR(place.stat().st_mode):
            return NotADirectoryError(errno.ENOTDIR, "not a folder", str(place))
        os.rmdir(tempfile.mkdtemp(dir=place))  # noqa: PTH106
        for name in folder.relative_to(place).parts:
            _check_length(place / name)
        _check_length(folder / _FILE_NAME)
    except OSError as error:
        return OSError(error.errno, error.strerror or str(error), str(place))
    return None


def _in_words(refusal: OSError) -> str:
    return f"{refusal.filename}: {refusal.strerror}"


def _check_length(path: Path) -> None:
    """Have the system refuse a path that is too long for it, which `os.path.lexists` calls missing."""
    with suppress(FileNotFoundError):
        os.lstat(path)


def fullness(error: OSError, folder: Path) -> str:
    """Return in words what is exhausted, for an error in `FULL` about a file in a folder."""
    if error.errno == errno.EDQUOT:
        return "the disk quota is used up"
    with suppress(OSError):
        disk = os.statvfs(folder)
        if disk.f_files and not disk.f_favail:
            return "no space left (the disk has no free inodes: it holds too many files)"
    return "no space left"


def give_to_owner_of(file: Path, folder: Path) -> None:
    """Give a file that root has created to the owner of the journal's folder, so that `sudo` locks nobody out.

    Args:
        file: What was made.
        folder: The journal.
    """
    if os.geteuid() != 0:
        return
    with suppress(OSError):
        owner = folder.stat()
        if owner.st_uid:
            os.chown(file, owner.st_uid, owner.st_gid)


def owner_of(file: Path) -> str | None:
    """Return who owns a file, or the folder that it would be in, when that is another user; else None."""
    for place in (file, file.parent):
        with suppress(OSError):
            uid = place.stat().st_uid
            return None if uid == os.geteuid() else _name(uid)
    return None


def _name(uid: int) -> str:
    if uid == 0:
        return "root"
    import pwd  # for messages only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def begin_write_back(descriptor: int, offset: int, length: int) -> None:
    """Have the system begin to write a part of a file to its disk, where it can be told, so that a flush waits less."""
    if sys.platform.startswith("linux"):  # which begins to where pages are not needed soon, and keeps them until then
        with suppress(OSError):
            os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable; a rename without this can vanish in a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
