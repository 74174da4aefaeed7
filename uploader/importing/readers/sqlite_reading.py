"""Reads SQLite files of other programs: nothing is written, locked or mapped there, and their log is read, too."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from uploader.importing.imported_run import Problem
from uploader.importing.reader import UnreadableRun

Found = TypeVar("Found")

DAMAGED = ""
"""Stands for the runs of a database that may be in it and cannot be read."""

_HEADER = b"SQLite format 3\0"
_LOGS = ("-wal", "-journal")
"""What belongs to a file and was not put into it: without these it is read as it was some time ago, or torn."""
_ATTEMPTS = 5
_LOG_HEADER = struct.Struct(">8I")  # the third is the size of a page


def is_database(path: Path) -> bool:
    """Return whether a file begins as SQLite's do, or is still empty beside a log that has everything."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_HEADER))
    except OSError:
        return False
    return begin == _HEADER or (not begin and _has_logs(path))


def read_database(path: Path, read: Callable[[sqlite3.Connection], Found]) -> Found:
    """Return what a function reads, of one state of the file.

    Args:
        path: The file of the other program, which may be running.
        read: Called again if the file changed meanwhile.

    Raises:
        UnreadableRun: It is no database, damaged, or it changes all the time.
    """
    for _ in range(_ATTEMPTS):
        before = _state(path)
        error: Exception | None = None
        try:
            with _opened(path) as connection:
                found = read(connection)
        except (sqlite3.Error, OSError) as cause:
            error = cause
        if _state(path) == before:
            if error is not None:
                raise UnreadableRun(f"{path.name} cannot be read: {error}") from error
            return found
    raise UnreadableRun(f"{path.name} is being written to; import it when its run has ended")


def table_columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the names of a table's columns; none if it is not there."""
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def rows(
    connection: sqlite3.Connection, query: str, values: tuple[Any, ...], problems: list[Problem], what: str
) -> Iterator[Any]:
    """Yield rows up to where the file is damaged, which becomes a problem.

    Args:
        connection: To the file.
        query: What is asked for.
        values: The query's arguments.
        problems: Gets what is the matter.
        what: The part of the file, for the problem.
    """
    count = 0
    try:
        for row in connection.execute(query, values):
            yield row
            count += 1
    except sqlite3.DatabaseError as error:
        problems.append(Problem(what, f"damaged after {count} rows, which were read: {error}"))


def torn_log(path: Path) -> list[Problem]:
    """Return a problem if the log of a file ends in the middle of a write: what was written last is not in it.

    Args:
        path: The file.
    """
    log = path.with_name(path.name + "-wal")
    try:
        size = log.stat().st_size
        with log.open("rb") as file:
            begin = file.read(_LOG_HEADER.size)
    except OSError:
        return []
    if len(begin) < _LOG_HEADER.size:
        return [Problem(log.name, "torn at its begin, nothing of it was read")] if size else []
    frame = _LOG_HEADER.unpack(begin)[2] + 24
    rest = (size - _LOG_HEADER.size) % frame
    return [Problem(log.name, f"torn at byte {size - rest}: a write did not end")] if rest else []


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not _has_logs(path):
        with _connected(path, "mode=ro&immutable=1") as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix="uploader-import-") as folder:
        copy = Path(folder) / path.name
        for suffix in ("", *_LOGS):
            original = path.with_name(path.name + suffix)
            if original.is_file():
                shutil.copyfile(original, copy.with_name(copy.name + suffix))
        with _connected(copy, "mode=rw") as connection:
            yield connection


@contextmanager
def _connected(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA writable_schema = ON")  # a file that was cut is read as far as it goes
        connection.text_factory = lambda text: text.decode(errors="replace")
        yield connection


def _has_logs(path: Path) -> bool:
    return any(size for size, _ in _state(path)[1:])


def _state(path: Path) -> list[tuple[int, int]]:
    return [_file_state(path.with_name(path.name + suffix)) for suffix in ("", *_LOGS)]


def _file_state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
