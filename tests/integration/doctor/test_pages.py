"""The page reader against SQLite itself, which wrote the pages."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.doctor.pages import leaf_rows

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, 127, 128, 32767, 32768, 2**23, 2**31, 2**47, -1, -129]),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.integers(0, 30_000).map(lambda size: "é" * size),
    st.binary(max_size=9000),
)


def written(database: Path, rows: dict[int, list[Any]], page_size: int) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute("CREATE TABLE mixed (a, b, c)")
        connection.executemany(
            "INSERT INTO mixed (rowid, a, b, c) VALUES (?, ?, ?, ?)", [(key, *row) for key, row in rows.items()]
        )
        connection.commit()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.lists(VALUES, min_size=3, max_size=3), max_size=40),
    page_size=st.sampled_from([512, 1024, 4096, 32768]),
)
def test_every_row_is_read_as_sqlite_wrote_it(rows: dict[int, list[Any]], page_size: int) -> None:
    with TemporaryDirectory() as folder:
        written(Path(folder) / "file.db", rows, page_size)
        read = {rowid: values for rowid, values in leaf_rows(Path(folder) / "file.db") if len(values) == 3}
    assert read == rows


@pytest.mark.parametrize("content", [b"", b"short", b"\x0d" * 8192, b"\xff" * 8192, bytes(range(256)) * 64])
def test_anything_at_all_can_be_scanned(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.db").write_bytes(content)
    assert list(leaf_rows(tmp_path / "file.db")) is not None


def test_a_chain_of_overflow_pages_that_bites_its_tail_ends(tmp_path: Path) -> None:
    database = tmp_path / "file.db"
    written(database, {1: ["x" * 20_000, 1, 2]}, 4096)
    content = bytearray(database.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 4] = (3).to_bytes(4, "big")  # every overflow page leads to the third
    database.write_bytes(content)
    assert len(list(leaf_rows(database))) <= 2
