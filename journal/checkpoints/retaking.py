"""Restoring checkpoints that are gone from the journal, from the trainer's own files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from journal.checkpoints.blobs import BlobStore, Snapshot, file_stamp
from journal.clock import now_text
from journal.errors import SourceChanged
from journal.schema import tables
from journal.schema.neutral import upsert
from journal.storage.backend import Begin

_WANTED = text(
    """
    SELECT d.id, d.sha256, b.size, r.save_dir
    FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN blobs b ON b.sha256 = d.sha256
    WHERE d.state = 'dead'
    """
)


@dataclass(frozen=True)
class Missing:
    """A checkpoint that a dead letter is about, and whose bytes are gone.

    Attributes:
        sha256: 64 hex digits.
        size: Bytes.
        save_dir: The run's folder.
    """

    sha256: str
    size: int
    save_dir: str


def retake(begin: Begin, blobs: BlobStore, names: Sequence[str], delivery_ids: Sequence[int] | None) -> int:
    """Take in again what dead letters miss, where the trainer still has it; return how many files.

    Args:
        begin: Begins transactions of the journal.
        blobs: The journal's.
        names: Of the trainer's files, below a run's folder.
        delivery_ids: The dead letters; None for all.

    Raises:
        JournalUnavailable: They cannot be written.
    """
    with begin(read_only=True) as connection:
        wanted = missing(connection, blobs, delivery_ids)
    return sum(_take_again(begin, blobs, one, names) for one in wanted)


def _take_again(begin: Begin, blobs: BlobStore, wanted: Missing, names: Sequence[str]) -> bool:
    snapshot = find(blobs, wanted, names)
    if snapshot is None:
        return False
    try:
        with begin() as connection:
            take_in(connection, blobs, snapshot)
    finally:
        blobs.discard(snapshot)
    return True


def missing(connection: Connection, blobs: BlobStore, delivery_ids: Sequence[int] | None) -> list[Missing]:
    """Return what dead letters (these, or all) miss, each once."""
    chosen = (row for row in connection.execute(_WANTED) if delivery_ids is None or row.id in delivery_ids)
    wanted = dict.fromkeys(Missing(row.sha256, row.size, row.save_dir) for row in chosen)
    return [one for one in wanted if not (blobs.folder / one.sha256).is_file()]


def find(blobs: BlobStore, wanted: Missing, names: Sequence[str]) -> Snapshot | None:
    """Return a copy of the run's file that still has exactly these bytes, for `take_in`, or None if there is none.

    The time depends on the size of the file, so no lock is held that an event could wait for.

    Args:
        blobs: The journal's.
        wanted: What is missing.
        names: Of the trainer's files, below the run's folder.

    Raises:
        JournalUnavailable: The copy cannot be written.
    """
    return next(_copies(blobs, wanted, names), None)


def take_in(connection: Connection, blobs: BlobStore, snapshot: Snapshot) -> None:
    """Put bytes into the journal that it has lost, or has never had.

    Args:
        connection: In a write transaction, so that nobody evicts the bytes at this moment.
        blobs: The journal's.
        snapshot: From `find`.
    """
    blobs.publish(snapshot)
    note_present(connection, snapshot)


def note_present(connection: Connection, snapshot: Snapshot) -> None:
    """Note that bytes are where the journal keeps them."""
    blob = {"sha256": snapshot.sha256, "size": snapshot.size, "state": "present", "created_at": now_text()}
    row = upsert(tables.blobs).values(blob)
    connection.execute(row.on_conflict_do_update(index_elements=["sha256"], set_={"state": "present"}))


def _copies(blobs: BlobStore, wanted: Missing, names: Sequence[str]) -> Iterator[Snapshot]:
    for file in (Path(wanted.save_dir, name) for name in names):
        stamp = file_stamp(file)
        if stamp is None or stamp[1] != wanted.size:
            continue
        try:
            copy = blobs.snapshot(file)
        except SourceChanged:
            continue
        if copy.sha256 == wanted.sha256:
            yield copy
        else:
            blobs.discard(copy)
