"""Everything that can go wrong with a journal, as one tree.

JournalError
├── JournalUnavailable      the file cannot be used now; the same call may work later
│   ├── JournalUnwritable   no permission, read-only file system, missing folder
│   ├── NoJournal           there is none where it was looked for
│   ├── JournalBusy         another process kept the write lock for too long
│   ├── JournalAway         the server of a shared journal cannot be reached
│   │   └── JournalReadOnly it takes no writes: a standby, until it is the primary
│   └── DiskFull            no space left for the journal or a blob
├── CorruptJournal          the file is damaged; it is left as it is
├── NewerJournal            the file was written by a later version; it is left as it is
├── StaleClaim              the delivery was claimed again by another drain meanwhile
├── OverLimit               a checkpoint does not fit into the journal's size limit
├── UnknownRow              an id that the journal does not hold
├── MirrorUnavailable       the mirror cannot be used now; the same call may work later
├── DamagedMirror           an object of the mirror is not what its name says
├── LibraryMissing          it can be read with a library that is not installed
├── DamagedPack             a pack is torn, or was altered
├── DamagedResults          what another journal's platforms answered cannot be read, or was altered
└── BlobError
    ├── BlobMissing         the bytes are not in the journal
    ├── BlobsUnavailable    where a shared journal keeps them cannot be used now
    │   └── BlobsRefused    nor later, until a person changes something
    └── SourceChanged       a checkpoint was rewritten while it was copied
"""

from __future__ import annotations

import errno
import shlex
from pathlib import Path
from typing import Literal

from journal.disk import FULL, fullness, owner_of, why_full

PROGRAM = "python -m uploader"
"""What a person types before the name of a command; see `journal.next_steps`."""
_NO_PLACE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG})


class JournalError(Exception):
    """Base of all errors that this package raises on purpose."""


class JournalUnavailable(JournalError):
    """The journal cannot be used at the moment; nothing was written."""


class JournalUnwritable(JournalUnavailable):
    """The folder or file refuses writing."""


class NoJournal(JournalUnavailable):
    """There is no journal in the folder; none was made."""


class JournalBusy(JournalUnavailable):
    """Another process kept the write lock beyond the busy time-out."""


class JournalAway(JournalUnavailable):
    """The server of a shared journal cannot be reached; whether the last transaction was committed is not known."""


class JournalReadOnly(JournalAway):
    """The server of a shared journal takes no writes, as a standby does; after a failover it may."""


class DiskFull(JournalUnavailable):
    """The file system has no space left."""


class CorruptJournal(JournalError):
    """The database is damaged. It is never overwritten."""


class NewerJournal(JournalError):
    """The journal has a schema that this version does not know. It is never touched."""


class StaleClaim(JournalError):
    """The claim's lease expired, and another drain holds the delivery now."""


class OverLimit(JournalError):
    """The journal has reached its size limit, and the checkpoint is not a final one."""


class UnknownRow(JournalError):
    """No run or delivery has the given id."""


class MirrorUnavailable(JournalError):
    """The mirror cannot be reached, read or written at the moment."""


class DamagedMirror(JournalError):
    """An object of the mirror is not what its name says; what else the mirror holds is not affected."""


class LibraryMissing(JournalError):
    """What is there can be read with a library that is not installed; nothing is lost."""


class DamagedPack(JournalError):
    """A pack is not what it was when it was written; nothing of it was taken in."""


class DamagedResults(JournalError):
    """Results of another journal are not what they say they are; nothing of them was taken in."""


class BlobError(JournalError):
    """A checkpoint's bytes are not available."""


class BlobMissing(BlobError):
    """The bytes are not where the journal keeps them."""


class BlobsUnavailable(BlobError):
    """Where a shared journal keeps its checkpoints' bytes cannot be used now; the same call may work later."""


class BlobsRefused(BlobsUnavailable):
    """It cannot be used until a person changes something: no place is named, or it is another's, or its key is."""


class SourceChanged(BlobError):
    """The file was rewritten or removed while it was copied; nothing was stored."""


def from_sqlite(error: Exception, path: Path) -> JournalError:
    """Translate an error of the database driver, or of the file system, into this tree.

    Args:
        error: What `sqlite3` (or SQLAlchemy around it) or the operating system raised.
        path: The database file, for the message.

    Returns:
        The error to raise in its place. The source of the codes is https://sqlite.org/rescode.html.
    """
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, OSError):
        return from_os(cause, path)
    if isinstance(cause, MemoryError):
        return JournalUnavailable(f"there is no memory left to use {path}")
    if "while it was in use" in str(cause):  # `journal.storage.connections.LogRemoved`
        return JournalUnwritable(f"{path} cannot be used: {cause}. Run the command again for what is there now")
    if "an older copy of itself" in str(cause):  # `journal.storage.connections.Overwritten`
        return CorruptJournal(
            f"{path} cannot be used: {cause}. Neither was changed. Put the newer file back if you have it; else "
            f"`{repair_command(path.parent)}` copies what the two hold into a new journal"
        )
    return _from_code(_primary_code(cause), cause, path)


def from_os(error: OSError, path: Path, wanted: Literal["written", "read"] = "written") -> JournalError:
    """Translate an operating system error about `path` into this tree.

    Args:
        error: What was raised.
        path: The file or folder, for the message.
        wanted: What it was opened for.
    """
    if error.errno in FULL:
        return _full(fullness(error, path.parent), path)
    why, owner = error.strerror or error, owner_of(path)
    if error.errno in {errno.EACCES, errno.EPERM} and owner:
        return JournalUnwritable(
            f"{path} cannot be {wanted} ({why}): it belongs to {owner}, as after a command that was run by that user; "
            f'`sudo chown -R "$(id -un)" {shlex.quote(str(path.parent))}` gives it back'
        )
    if error.errno == errno.EROFS:
        return JournalUnwritable(
            f"{path} cannot be {wanted} ({why}): mount the disk for writing, or copy the folder to another one"
        )
    if error.errno in _NO_PLACE and wanted == "written":
        return JournalUnwritable(
            f"{path} cannot be {wanted} ({why}): its folder is not there and cannot be made; choose another one"
        )
    return JournalUnwritable(f"{path} cannot be {wanted} ({why}); check its owner and permissions")


def _full(why: str, path: Path) -> DiskFull:
    return DiskFull(f"{why} for {path}; free some space and run the command again")


def repair_command(journal: Path) -> str:
    """Return what a person types to have what can be read of a damaged journal copied."""
    return f'{PROGRAM} doctor --repair --journal "{journal}"'


def no_shared_memory(cause: BaseException, path: Path) -> JournalUnwritable:
    """Return the error for a file system that does not let processes share the memory of the log's index."""
    return JournalUnwritable(
        f"{path} cannot be used where it is ({cause}): its log needs memory that processes share, which this file "
        "system does not give, or has no space for; move the journal to a local disk"
    )


def _primary_code(cause: BaseException) -> str:
    """Name the primary result code; Python 3.10 has only the message to go by."""
    name = getattr(cause, "sqlite_errorname", None)
    if name:
        return "_".join(str(name).split("_")[:2])
    message = str(cause)
    for needle, code in _MESSAGES.items():
        if needle in message:
            return code
    return ""


_MESSAGES = {
    "locked": "SQLITE_BUSY",
    "disk is full": "SQLITE_FULL",
    "readonly": "SQLITE_READONLY",
    "unable to open": "SQLITE_CANTOPEN",
    "malformed": "SQLITE_CORRUPT",
    "not a database": "SQLITE_NOTADB",
    "disk I/O": "SQLITE_IOERR",
}


def _from_code(code: str, cause: BaseException, path: Path) -> JournalError:
    why = why_full(path.parent) if code in {"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"} else None
    if why or code == "SQLITE_FULL":
        return _full(why or "no space left", path)
    if str(getattr(cause, "sqlite_errorname", "")).startswith("SQLITE_IOERR_SHM"):
        return no_shared_memory(cause, path)
    if code in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return JournalBusy(f"{path} is locked by another process; try again when it has finished")
    if code in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        return CorruptJournal(
            f"{path} is damaged ({cause}). It was left as it is. What can be read of it is copied into a new journal "
            f"by: {repair_command(path.parent)}; or by hand: "
            f'sqlite3 "{path}" .recover | sqlite3 recovered.db'
        )
    if code in {"SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM"}:
        return JournalUnwritable(f"{path} cannot be used ({cause}); check the disk, its owner and permissions")
    return JournalError(f"{path}: {cause}")
