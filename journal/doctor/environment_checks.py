"""Checks of a journal's surroundings: permissions, disk, file system, fallback files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from journal import locations
from journal.disk import owner_of, why_full
from journal.doctor.findings import Finding, give_back_owner, notice, some, trouble
from journal.errors import JournalError
from journal.next_steps import intake_at, next_command
from journal.quantities import count, readable
from journal.storage import newest
from journal.storage.database import check_sqlite
from journal.storage.log_flush import log_of
from journal.surroundings.mounts import mount_of, read_mounts
from journal.writing import fallback_owners
from journal.writing.fallback_format import not_among, unreadable_reason

LITTLE_SPACE = 256 << 20
LARGE_LOG = 128 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_library() -> Iterator[Finding]:
    """Check the SQLite that this Python has."""
    try:
        check_sqlite()
    except JournalError as error:
        yield trouble("sqlite-too-old", str(error), "What trainings here record goes to fallback files meanwhile.")


def check_disk(folder: Path, mode: str | None) -> Iterator[Finding]:
    """Check the disk that the journal is on.

    Args:
        folder: The journal.
        mode: The database's journal mode, None when it could not be read.
    """
    yield from _check_space(folder)
    yield from _check_file_system(folder, mode)


def check_age(connection: sqlite3.Connection, database: Path) -> Iterator[Finding]:
    """Check that the database is not an older copy that was put over the journal, when no log was left."""
    row = None
    with suppress(sqlite3.OperationalError):  # an earlier schema
        row = connection.execute("SELECT value FROM facts WHERE name = ?", (newest.NEWEST,)).fetchone()
    if newest.is_older(database, row[0] if row else None):
        detail = f"{database} was newer once: an older copy has taken its place"
        advice = "Put the newer file back if you have it. Else go on: before anything is sent, platforms are asked."
        yield notice("database-older", detail, advice)


def check_modes(folder: Path, kept: Iterable[str] = ()) -> Iterator[Finding]:
    """Check the permissions of a folder that holds a journal; those of any other folder are not our business."""
    refused = [str(path) for path in _not_writable(folder)]
    if refused:
        detail = f"this user cannot write to {some(refused)}"
        advice = "Mend owner and permissions, or copy the folder to another disk: trainings and drains have to write."
        advice = give_back_owner(folder) if any(owner_of(Path(path)) for path in refused) else advice
        yield trouble("journal-unwritable", detail, advice)
    opened = [str(path) for path in readable_by_others(folder, kept)]
    if opened:
        detail = f"other users of this machine may read or write {some(opened)}"
        command = next_command("doctor --repair", folder)
        yield trouble("open-to-others", detail, f"`{command}` takes their permissions away.")


def check_size(folder: Path, size: int) -> Iterator[Finding]:
    """Compare a journal's size, in bytes, with the limit that this environment sets for trainings."""
    try:
        limit = locations.default_max_size()
    except JournalError as error:
        yield trouble("limit-unreadable", str(error), "Set it to a size, such as 20GB, or not at all.")
        return
    if size > limit:
        detail = f"the journal has {readable(size)}, and its limit is {readable(limit)}"
        command = next_command("drain", folder)
        advice = f"Deliver it by `{command}`: trainings give up checkpoints and console text to keep the limit."
        yield notice("over-limit", detail, advice)


def check_fallbacks(
    folder: Path, fallback_folders: Iterable[Path], ingested: Mapping[str, int] | None = None
) -> Iterator[Finding]:
    """Look for events in fallback files, also of a journal that does not exist.

    Args:
        folder: The journal.
        fallback_folders: Where such files may be.
        ingested: How many lines of files the journal has, by their names: `unpack` leaves files that it has taken in.
    """
    found = fallback_owners.files_by_owner(fallback_owners.owner_at(folder), fallback_folders)
    waiting = [str(path) for path in not_among(ingested or {}, [path for _, path in found.own])]
    shut = [str(path) for path in found.unreadable if unreadable_reason(path)]
    unreadable = [str(path) for path in found.unreadable if str(path) not in shut]
    if waiting:
        detail = f"events that could not be journaled are in {count(len(waiting), 'fallback file')}: {some(waiting)}"
        yield notice("fallback-waiting", detail, f"{intake_at(str(folder))} takes them in.")
    if shut:
        advice = f"Events may wait in them. Let this user read them, then `{next_command('drain', folder)}`."
        yield trouble("fallback-shut", f"fallback files that cannot be read: {some(shut)}", advice)
    if unreadable:
        detail = f"fallback files without a readable first line: {some(unreadable)}"
        yield trouble("fallback-damaged", detail, "Look into them: each line is one event in JSON.")
    for place, every in found.others.items():
        paths = not_among(ingested or {}, every)
        if not paths:
            continue
        held = f"{count(len(paths), 'fallback file')}: {some([str(path) for path in paths])}"
        detail = f"events of another journal, {place}, are in {held}"
        yield notice("fallback-elsewhere", detail, f"{intake_at(place)} takes them in.")


def check_fallback_folder() -> Iterator[Finding]:
    """Check that the folder that this environment chooses for fallback files can hold them."""
    if why := locations.unfit_fallback():
        yield trouble("fallback-unfit", why, "Set it to a folder in which this user may write, or not at all.")


def readable_by_others(folder: Path, kept: Iterable[str] = ()) -> list[Path]:
    """Return what of the journal other users of the machine may touch, and of the folders that are kept in its own."""
    inside = [path for name in ("blobs", *kept) for path in (folder / name, *(folder / name).rglob("*"))]
    ours = [folder, *folder.glob("journal.db*"), *inside]
    return [path for path in ours if path.exists() and path.stat().st_mode & _OTHERS]


def close_to_others(folder: Path, kept: Iterable[str] = ()) -> list[Path]:
    """Take away other users' permissions; return what had them.

    Args:
        folder: The journal.
        kept: Folders in it that are kept for others.
    """
    opened = readable_by_others(folder, kept)
    for path in opened:
        path.chmod(path.stat().st_mode & ~_OTHERS)
    return opened


def _not_writable(folder: Path) -> list[Path]:
    """Return the files of the journal that this user cannot write, or that are on a read-only disk."""
    ours = [
        folder,
        folder / "blobs",
        *sorted(folder.glob("journal.db*")),
        folder / "drain.lock",
        folder / "import.lock",
    ]
    return [path for path in ours if path.exists() and not os.access(path, os.W_OK)]


def _check_space(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    if why := why_full(folder):
        advice = f"Free some; `{next_command('prune', folder)}` takes out what has arrived."
        yield trouble("disk-full", f"{why} on the disk of {folder}", advice)
    elif free < LITTLE_SPACE:
        detail = f"{free >> 20} MiB are left on the disk of {folder}"
        yield trouble("disk-nearly-full", detail, "Free some space; events that find none go to a fallback file.")
    log = log_of(folder / "journal.db")
    if log.exists() and log.stat().st_size > LARGE_LOG:
        detail = f"the write-ahead log has grown to {log.stat().st_size >> 20} MiB"
        yield notice("large-log", detail, "The recorder and the drain fold it back when nobody else is reading.")


def _check_file_system(folder: Path, mode: str | None) -> Iterator[Finding]:
    if mode not in {None, "wal"}:
        detail = f"the journal mode is {mode}: the file system has no shared memory, so each event costs more"
        yield notice("no-write-ahead-log", detail, "A folder on a local disk is faster.")
    mount = mount_of(folder.resolve(), read_mounts())
    if mount and mount.is_remote:
        detail = f"{folder} is on a network or user-space file system ({mount.kind})"
        advice = "Put the journal on a local disk: a write-ahead log needs memory that all its users share."
        yield trouble("network-disk", detail, advice) if mode == "wal" else notice("network-disk", detail, advice)
