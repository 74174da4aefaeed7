"""Checks of the checkpoints' bytes."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from journal.checkpoints.blobs import STALE_SECONDS
from journal.disk import owner_of
from journal.doctor.findings import Finding, give_back_owner, notice, some, trouble
from journal.doctor.row_checks import tells_identities
from journal.kinds import CHECKPOINT
from journal.next_steps import next_command
from journal.quantities import count, epoch_in_words
from journal.retention.prunable import NEEDED
from journal.schema.tables import rank

HASHED_BY_DEFAULT = 1 << 30
"""How many bytes are hashed unless all are asked for."""

_BLOB_NAME = re.compile(r"[0-9a-f]{64}")
_EVENT = f"""
    SELECT coalesce(json_extract(e.payload, '$.filename'), e.key), r.name, json_extract(e.payload, '$.epoch'),
           r.save_dir
    FROM events e JOIN runs r ON r.id = e.run_id
    WHERE e.kind = '{CHECKPOINT}' AND json_extract(e.payload, '$.sha256') = ? ORDER BY e.id DESC LIMIT 1
"""


def check_blobs(connection: sqlite3.Connection, folder: Path, *, deep: bool) -> Iterator[Finding]:
    """Compare the rows that say `present` with the files.

    Args:
        connection: The journal's database.
        folder: The blob folder.
        deep: Whether to read all bytes; else `HASHED_BY_DEFAULT`, the smallest files first.
    """
    needed = NEEDED if tells_identities(connection) else NEEDED.replace(rank("newer", "its"), "newer.id")
    query = f"SELECT b.sha256, b.size, {needed} FROM blobs b WHERE b.state = 'present' ORDER BY b.size"
    unread, budget, present = 0, HASHED_BY_DEFAULT, set()
    unreadable: list[Path] = []
    why = ""
    for sha256, size, needed in connection.execute(query):
        present.add(sha256)
        budget -= size
        is_read = deep or budget >= 0
        unread += not is_read
        try:
            reason = _fault(folder / sha256, size, is_read)
        except OSError as error:
            unreadable.append(folder / sha256)
            why = error.strerror or str(error)
            continue
        if reason and needed:
            yield _gone(connection, folder / sha256, reason)
    if unreadable:
        yield _unreadable(unreadable, why, folder.parent)
    if unread:
        detail = f"compared by size only: {count(unread, 'large checkpoint')}"
        yield notice("blobs-unread", detail, f"`{next_command('doctor --deep', folder.parent)}` reads all through.")
    yield from _check_strangers(folder, present)


def _gone(connection: sqlite3.Connection, file: Path, reason: str) -> Finding:
    """Return the finding for a checkpoint that a run needs and whose bytes are gone."""
    what, place = _named(connection, file.name)
    drain, retry, drop = (next_command(command, file.parent.parent) for command in ("drain", "retry ID", "drop ID"))
    return trouble(
        "blob-damaged",
        f"the bytes of {what} are gone: {file} {reason}",
        f"The rest of the run is delivered all the same; `{drain}` sets this checkpoint aside as a dead letter. Put "
        f"the file back from a copy of the journal; or if the trainer's own is unchanged in {place}, `{retry}` takes "
        f"it in again; `{drop}` gives it up.",
    )


def _named(connection: sqlite3.Connection, sha256: str) -> tuple[str, str]:
    """Return a checkpoint's name as a person knows it, and where its run saved it, as far as they can be read."""
    with suppress(sqlite3.Error):
        for filename, run, epoch, save_dir in connection.execute(_EVENT, (sha256,)):
            when = f", {words}" if (words := epoch_in_words(epoch)) else ""
            return f"the checkpoint {filename} of {run}{when}", f"{save_dir}/weights"
    return "a checkpoint", "the run's folder"


def _unreadable(files: list[Path], why: str, journal: Path) -> Finding:
    """Return the finding for checkpoints that cannot be read, so that they may be undamaged."""
    owner = owner_of(files[0])
    whose = f", which {'belongs' if len(files) == 1 else 'belong'} to {owner}" if owner else ""
    detail = f"{count(len(files), 'checkpoint')} cannot be read ({why}){whose}: {some([str(file) for file in files])}"
    return trouble(
        "blob-unreadable", detail, give_back_owner(journal) if owner else "Make them readable for this user."
    )


def is_whole(path: Path) -> bool:
    """Return whether a blob's bytes have the sha256 that is its name."""
    try:
        return _sha256(path) == path.name
    except OSError:
        return False


def blob_files(folder: Path) -> Iterator[Path]:
    """Yield the files that have a blob's name."""
    return (path for path in sorted(folder.glob("*")) if _BLOB_NAME.fullmatch(path.name))


def _fault(path: Path, size: int, is_read: bool) -> str | None:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, not {size}"
    if is_read and _sha256(path) != path.name:
        return "has other bytes than its sha256 says"
    return None


def _check_strangers(folder: Path, present: set[str]) -> Iterator[Finding]:
    strangers = [path.name for path in blob_files(folder) if path.name not in present]
    if strangers:
        detail = f"in {folder}, not known to the journal (any more), {count(len(strangers), 'file')}: {some(strangers)}"
        yield notice(
            "blobs-unknown", detail, "They only take space, unless rows were lost; then they are all that is left."
        )
    old = [path.name for path in folder.glob(".tmp-*") if time.time() - path.stat().st_mtime > STALE_SECONDS]
    if old:
        detail = f"left in {folder}: {count(len(old), 'unfinished copy')}"
        yield notice("copies-left", detail, f"The next `{next_command('drain', folder.parent)}` removes what is left.")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
