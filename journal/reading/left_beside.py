"""What trainings left beside a journal, and it does not have: fallback files, and checkpoints without a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from journal.checkpoints.salvage import lost_snapshots
from journal.writing import fallback, fallback_owners


def left_beside(connection: Connection, folder: Path, beside: Iterable[Path], now: datetime) -> list[tuple[str, Path]]:
    """Return each such file after the uuid of its run; "" where nobody can tell whose it is, as it cannot be read.

    Args:
        connection: To the journal's database.
        folder: Where the journal is.
        beside: Where fallback files may be.
        now: The current time.
    """
    found = fallback_owners.files_by_owner(fallback_owners.owner(connection, folder), beside)
    waiting = set(fallback.not_ingested(connection, [path for _, path in found.own]))
    files = [(header.run.id, path) for header, path in found.own if path in waiting]
    files += [("", path) for path in found.unreadable if fallback.unreadable_reason(path)]
    return files + [(lost.run_id, lost.path) for lost in lost_snapshots(connection, now)]
