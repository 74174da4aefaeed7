"""Copies of a journal's checkpoints as files that a training can be resumed from, where its own are lost."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text

from journal.checkpoints.blobs import BlobStore, delete, digest
from journal.errors import BlobMissing, from_os
from journal.kinds import CHECKPOINT
from journal.schema.tables import RANK
from journal.sessions.order import newest_checkpoint

# Of each role the newest one; of two roles with one file name the later one is last.
_NEWEST = text(
    f"""
    SELECT r.id, r.name, json_extract(e.payload, '$.filename') AS filename,
           json_extract(e.payload, '$.sha256') AS sha256, json_extract(e.payload, '$.epoch') AS epoch
    FROM events e JOIN sessions s ON s.id = e.session_id JOIN runs r ON r.id = e.run_id
    WHERE e.run_id IN :runs AND e.kind = '{CHECKPOINT}' AND json_valid(e.payload) AND e.id = {newest_checkpoint("e")}
    ORDER BY r.rowid, {RANK}
    """  # noqa: S608 - names of this package
).bindparams(bindparam("runs", expanding=True))


@dataclass(frozen=True)
class CheckpointCopy:
    """A file that was written.

    Attributes:
        run: Uuid of the run.
        path: The file.
        epoch: The epoch whose weights it holds, from 0; None if that is not known.
    """

    run: str
    path: Path
    epoch: int | None


def write_copies(
    connection: Connection, blobs: BlobStore, runs: Collection[str], folder: Path
) -> Iterator[CheckpointCopy]:
    """Write the newest checkpoints of runs into a folder of each run; yield those whose bytes the journal has.

    A file that is there already is replaced only by the same bytes; else the copy gets another name.

    Raises:
        JournalUnavailable: A file cannot be written.
    """
    rows = connection.execute(_NEWEST, {"runs": list(runs)}).all()
    newest = {(row.id, _file_name(row)): row for row in rows}
    names = [name for name, _ in {(row.name, row.id) for row in rows}]
    for (run, filename), row in newest.items():
        own = row.name if names.count(row.name) == 1 else f"{row.name}-{run[:8]}"
        try:
            source = blobs.path(row.sha256)
        except BlobMissing:
            continue
        yield CheckpointCopy(run, _write(source, folder / own / "weights" / filename), row.epoch)


def _file_name(row: Row[Any]) -> str:
    """Return a file's name, which comes from an event and must lead nowhere else."""
    name = os.path.basename(str(row.filename or ""))  # noqa: PTH119
    return name if name not in {"", ".", ".."} and "\0" not in name else f"{row.sha256[:12]}.pt"


def _write(source: Path, target: Path) -> Path:
    if target.exists() and not _is_same(source, target):
        target = target.with_name(f"{target.stem}-{source.name[:12]}{target.suffix}")
    draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, draft)
        draft.replace(target)
    except OSError as error:
        delete(draft)
        raise from_os(error, target) from error
    return target


def _is_same(source: Path, target: Path) -> bool:
    return digest(target) == source.name
