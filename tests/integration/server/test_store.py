"""The store by itself."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from uploader.server.storage import store_schema
from uploader.server.storage.checkpoint_files import Files
from uploader.server.storage.store import Store, StoreVersionError


def _write_twice(store: Store) -> None:
    with store.write() as rows:
        for _ in range(2):
            rows.answers.insert("POST /", "key", "digest", {})


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "platform.db")) as store:
        with pytest.raises(sqlite3.IntegrityError):
            _write_twice(store)
        with store.write() as rows:
            assert rows.answers.get("POST /", "key") is None
            rows.answers.insert("POST /", "key", "digest", {"received": True})
        with store.read() as rows:
            assert rows.answers.get("POST /", "key") == ("digest", {"received": True})


def test_a_reader_sees_one_snapshot_while_others_write(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "platform.db")) as store, store.read() as reader:
        assert reader.answers.get("POST /", "key") is None
        with store.write() as writer:
            writer.answers.insert("POST /", "key", "digest", {})
        assert reader.answers.get("POST /", "key") is None


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


@pytest.mark.parametrize("version", range(store_schema.VERSION))
def test_a_file_of_an_older_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path, fresh = tmp_path / "platform.db", tmp_path / "fresh.db"
    with closing(sqlite3.connect(path)) as older:
        older.executescript(f"{''.join(store_schema.STEPS[:version])} PRAGMA user_version={version};")
        if version:
            older.executescript("""
                INSERT INTO models
                    (id, owner, project, project_name, slug, name, status, created_at, updated_at, started_at,
                     environment)
                VALUES ('m', '', '', '', '', '', 'running', '', '', '', '{"uploaderRun":"r","uploaderProofKey":"k"}');
                INSERT INTO answers (scope, key, digest, answer) VALUES
                ('POST', 'start', '', '{"modelId": "m", "runId": 1}'), ('POST', 'epoch', '', '{"modelId": "m"}'),
                ('POST', 'deleted', '', '{"modelId": "gone"}'), ('POST', 'hub', '', '{"id": "h"}');
            """)
    with closing(Store(path)), closing(Store(fresh)):
        pass
    with closing(sqlite3.connect(path)) as migrated, closing(sqlite3.connect(fresh)) as new:
        described = "SELECT name, sql FROM sqlite_schema ORDER BY name"
        assert migrated.execute(described).fetchall() == new.execute(described).fetchall()
        owned = migrated.execute("SELECT key FROM answers WHERE model_id = 'm'").fetchall()
        assert owned == ([("epoch",)] if 0 < version < 4 else [])
        announced = migrated.execute("SELECT model_id, run, key FROM announced").fetchall()
        assert announced == ([("m", "r", "k")] if version else [])


@pytest.mark.parametrize("links", [True, False])
def test_keeping_a_file_leaves_it_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    if not links:  # as on exFAT, which cannot be mounted everywhere
        monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "source"
    source.write_bytes(b"x")
    files = Files(tmp_path / "files")
    files.keep(source, "ab12")
    files.keep(source, "ab12")  # an interrupted end is gone through again
    assert (source.read_bytes(), files.path("ab12").read_bytes()) == (b"x", b"x")
    assert list((tmp_path / "files").glob("*.part")) == []
