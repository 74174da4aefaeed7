"""Harming a journal from outside, and proving that nobody else did."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path


def contents(folder: Path) -> dict[str, str]:
    """Digests of everything that is kept in a journal; the index of the log is made anew by whoever opens it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".db-shm"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size}


def statement(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute(sql)


def blob(folder: Path, role: str) -> Path:
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        query = "SELECT json_extract(payload, '$.sha256') FROM events WHERE kind = 'checkpoint' AND key = ?"
        return folder / "blobs" / connection.execute(query, (role,)).fetchone()[0]


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
