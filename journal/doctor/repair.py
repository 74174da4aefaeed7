"""Copying what is readable of a damaged journal into a new one. The old one is left as it is."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from journal.checkpoints.blobs import BlobStore
from journal.clock import now_text
from journal.doctor.blob_checks import is_whole
from journal.doctor.findings import some
from journal.doctor.rebuilding import rebuild
from journal.doctor.rescue import TABLES, Rescue
from journal.errors import CorruptJournal, JournalUnwritable, from_os, from_sqlite
from journal.kinds import CHECKPOINT
from journal.opening import open_journal
from journal.quantities import count
from journal.retention.prunable import NEEDED
from journal.sessions import identity

_REFERRED_TO = f"""
    SELECT sha256 FROM blobs WHERE state = 'present'
    UNION SELECT json_extract(payload, '$.sha256') FROM events WHERE kind = '{CHECKPOINT}'"""
_STORE = """
    INSERT INTO blobs (sha256, size, state, created_at) VALUES (?, ?, 'present', ?)
    ON CONFLICT (sha256) DO UPDATE SET state = 'present'"""


@dataclass
class Recovery:
    """What a repair brought into a new journal.

    Attributes:
        folder: The new journal.
        kept: Number of rows in the new journal, by table.
        blobs: Checkpoints whose bytes were copied.
        changed: What was changed, in words.
        lost: What could not be copied, in words.
    """

    folder: Path
    kept: dict[str, int] = field(default_factory=dict)
    blobs: int = 0
    changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def recover_journal(folder: Path, now: datetime) -> Recovery:
    """Copy what can be read of a journal into a new one beside it, `<journal>-recovered-<time>`.

    Claimed deliveries are pending in the new one. Nothing is planned again: a delivery that was lost is not sent, even
    if its events were recovered. Events that are written to the old journal after the copy has begun are not copied.

    Raises:
        CorruptJournal: Nothing at all could be read.
        JournalUnwritable: The new folder cannot be made.
        DiskFull: There is no space for it.
    """
    recovery = Recovery(folder.with_name(f"{folder.name}-recovered-{now:%Y%m%dT%H%M%SZ}"))
    with _new_journal(recovery.folder) as new, tempfile.TemporaryDirectory(dir=recovery.folder) as scratch:
        identity.withdraw(new)
        rescue = Rescue(new, Path(scratch))
        rescue.copy_rows(folder / "journal.db")
        if not rescue.kept.total():
            raise CorruptJournal(f"nothing could be read of {folder / 'journal.db'}; it was left as it is")
        rebuilt = rebuild(new, rescue.newest_event)
        identity.adopt(new)
        recovery.lost, recovery.changed = [*rescue.lost, *rebuilt.lost], rebuilt.changed
        _copy_blobs(new, folder / "blobs", recovery)
        recovery.kept = {table: new.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
    return recovery


@contextmanager
def _new_journal(folder: Path) -> Iterator[sqlite3.Connection]:
    """Make a journal and fill it in one transaction, without foreign keys; remove it when that fails."""
    if folder.exists():
        raise JournalUnwritable(f"{folder} is there already; move it away and try again")
    try:
        open_journal(folder).close()
        with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise from_os(error, folder) from error
        if isinstance(error, sqlite3.Error):
            raise from_sqlite(error, folder) from error
        raise


def _copy_blobs(new: sqlite3.Connection, source: Path, recovery: Recovery) -> None:
    """Copy the undamaged blobs that rows or events refer to."""
    store, missing = BlobStore(recovery.folder / "blobs"), []
    for (sha256,) in new.execute(_REFERRED_TO).fetchall():
        if is_whole(source / sha256):
            snapshot = store.snapshot(source / sha256)
            store.publish(snapshot)
            new.execute(_STORE, (sha256, snapshot.size, now_text()))
            recovery.blobs += 1
        else:
            if new.execute(f"SELECT 1 FROM blobs b WHERE sha256 = ? AND {NEEDED}", (sha256,)).fetchone():
                missing.append(sha256)
            new.execute("UPDATE blobs SET state = 'removed' WHERE sha256 = ?", (sha256,))
    if missing:
        recovery.lost.append(f"damaged or missing bytes of {count(len(missing), 'checkpoint')}: {some(missing)}")
