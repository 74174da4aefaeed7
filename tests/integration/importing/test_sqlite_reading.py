"""SQLite files of other programs: one state of them is read, and nothing of theirs is touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from uploader.importing.imported_run import Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.sqlite_reading import is_database, read_database, rows
from uploader.importing.readers.trackio_folder import READER


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A program that has its database open: what it wrote is in the log only."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(500)])
        yield connection


def numbers(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM numbers").fetchone()[0]
    return found


def test_what_is_in_the_log_only_is_read_while_the_program_goes_on(writing: sqlite3.Connection, tmp_path: Path) -> None:
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert is_database(tmp_path / "a.db")
    assert read_database(tmp_path / "a.db", numbers) == 500
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    writing.execute("BEGIN EXCLUSIVE")  # no lock of ours is in its way, and its lock not in ours
    assert read_database(tmp_path / "a.db", numbers) == 500


def test_a_file_that_changes_is_read_again_and_one_that_always_does_is_refused(
    writing: sqlite3.Connection, tmp_path: Path
) -> None:
    changes = iter(range(2))

    def read(connection: sqlite3.Connection) -> int:
        if next(changes, None) is not None:
            writing.execute("INSERT INTO numbers VALUES (1)")
        return numbers(connection)

    assert read_database(tmp_path / "a.db", read) == 502
    changes = iter(range(1000))
    with pytest.raises(UnreadableRun, match="is being written to"):
        read_database(tmp_path / "a.db", read)


def test_of_a_cut_file_the_rows_before_are_read(writing: sqlite3.Connection, tmp_path: Path) -> None:
    writing.executemany("INSERT INTO numbers VALUES (?)", [("x" * 1000,) for _ in range(100)])
    writing.execute("PRAGMA journal_mode = DELETE")
    writing.close()
    content = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.db").write_bytes(content[: len(content) // 2])
    problems: list[Problem] = []
    query = "SELECT number FROM numbers"
    found = read_database(tmp_path / "a.db", lambda connection: list(rows(connection, query, (), problems, "numbers")))
    assert 100 < len(found) < 600
    assert [problem.what for problem in problems] == ["numbers"]


def test_a_database_of_trackio_that_cannot_be_read_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "proj.db").write_bytes(b"SQLite format 3\0" + bytes(4000))
    assert READER.detect(tmp_path) == []
    (tmp_path / "proj.lock").touch()
    [found] = READER.detect(tmp_path)
    with pytest.raises(UnreadableRun, match="damaged"):
        READER.read(found)


def test_a_database_of_another_program_is_none_of_trackio(writing: sqlite3.Connection, tmp_path: Path) -> None:
    assert READER.detect(tmp_path) == []
