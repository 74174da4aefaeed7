"""The store by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from uploader.local_platform.store import Store, StoreVersionError


def _write_twice(store: Store) -> None:
    with store.write() as rows:
        for _ in range(2):
            rows.insert_answer("POST /", "key", "digest", {})


def test_a_block_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "platform.db")) as store:
        with pytest.raises(sqlite3.IntegrityError):
            _write_twice(store)
        with store.write() as rows:
            assert rows.answer("POST /", "key") is None
            rows.insert_answer("POST /", "key", "digest", {"received": True})
        with store.read() as rows:
            assert rows.answer("POST /", "key") == ("digest", {"received": True})


def test_a_reader_sees_one_picture_while_others_write(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "platform.db")) as store, store.read() as reader:
        assert reader.answer("POST /", "key") is None
        with store.write() as writer:
            writer.insert_answer("POST /", "key", "digest", {})
        assert reader.answer("POST /", "key") is None


def test_a_file_of_a_newer_version_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "platform.db"
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match="99"):
        Store(path)
    assert path.read_bytes() == before


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "platform.db"
    with closing(Store(path)):
        assert path.stat().st_mode & 0o077 == 0
