"""One drain for each journal; a second one says who the first is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from journal.checkpoints.blobs import delete
from journal.clock import now_text
from journal.disk import give_to_owner_of
from journal.errors import from_os
from journal.sessions.liveness import host_name
from uploader.errors import DrainLocked

LOCK = "drain.lock"
HOLDER = "drain.json"
"""Who holds the lock; beside it, because taking the lock empties the lock's own file."""


@contextmanager
def drain_lock(folder: Path) -> Iterator[None]:
    """Hold the journal's lock for as long as the block lasts; the system frees it when the process dies.

    Args:
        folder: The journal.

    Raises:
        DrainLocked: Another drain holds it; the message says which.
    """
    lock = FileLock(folder / LOCK, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise DrainLocked(f"another drain works on {folder}: {_holder(folder)}") from None
    except OSError as error:
        raise from_os(error, folder / LOCK) from error
    try:
        give_to_owner_of(folder / LOCK, folder)
        with suppress(OSError):  # it is only for the message that a second drain shows
            _write_holder(folder)
        yield
    finally:
        delete(folder / HOLDER)
        lock.release()


def _write_holder(folder: Path) -> None:
    me = {"pid": os.getpid(), "host": host_name(), "started_at": now_text()}
    draft = folder / f"{HOLDER}.tmp"
    draft.touch(mode=0o600)
    give_to_owner_of(draft, folder)
    draft.write_text(json.dumps(me), encoding="utf-8")
    draft.replace(folder / HOLDER)  # whole or not at all: a second drain may be reading


def _holder(folder: Path) -> str:
    """Describe the holder; it may have begun, or ended, a moment ago."""
    try:
        who = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}, since {who['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has just begun"
