"""What a path is that a person named: a journal, a pack, a mirror, or nothing of ours."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import journal
from journal.reading.places import MIRROR_NOTE, PACK_NOTE, what_is


def pack(path: Path, first: str = PACK_NOTE) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(first, "{}")
        archive.writestr("blobs/00", b"x" * 1000)
    return path


def test_each_is_recognised(tmp_path: Path) -> None:
    journal.open(tmp_path / "journal").close()
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / MIRROR_NOTE).write_text("{}")
    found = [what_is(path) for path in (tmp_path / "journal", tmp_path / "mirror", pack(tmp_path / "p"), "s3://b/c")]
    assert found == ["journal", "mirror", "pack", "mirror"]


def test_a_torn_pack_is_one_and_a_journal_in_a_mirror_is_a_journal(tmp_path: Path) -> None:
    whole = pack(tmp_path / "pack")
    whole.write_bytes(whole.read_bytes()[:60])
    journal.open(tmp_path / "both").close()
    (tmp_path / "both" / MIRROR_NOTE).write_text("{}")
    assert (what_is(whole), what_is(tmp_path / "both")) == ("pack", "journal")


@pytest.mark.parametrize("name", ["empty", "folder", "other.zip", "nowhere", "x" * 300])
def test_anything_else_is_nothing_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    pack(tmp_path / "other.zip", "readme.txt")
    before = sorted(tmp_path.rglob("*"))
    assert what_is(tmp_path / name) == ("journal" if len(name) > 255 else "nothing")  # who opens it is told why
    assert sorted(tmp_path.rglob("*")) == before
