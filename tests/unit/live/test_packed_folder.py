from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from uploader.live.packed_folder import pack


def test_an_archive_of_the_folder_that_it_stands_in_does_not_hold_archives(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "weights").write_bytes(b"w")
    (tmp_path / "run" / "data.tar").write_bytes(b"of a person")
    archive = tmp_path / "run" / "checkpoints" / "last.tar"
    for _ in range(2):
        assert pack(tmp_path / "run", archive) == archive
    with tarfile.open(archive) as packed:
        assert {*packed.getnames()} == {"run", "run/checkpoints", "run/data.tar", "run/weights"}


def test_a_folder_that_cannot_be_packed_leaves_the_archive_before(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "broken").symlink_to(tmp_path / "nothing")
    archive = tmp_path / "last.tar"
    archive.write_bytes(b"before")
    with pytest.raises(OSError, match="broken"):
        pack(tmp_path / "run", archive)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.tar", "run"]
    assert archive.read_bytes() == b"before"
