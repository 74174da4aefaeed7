"""What is asked of the log before each event: its inode and length, and not its times."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from journal.storage import inodes
from journal.storage.inodes import looking_at


@pytest.fixture(autouse=True)
def _chosen_anew() -> Iterator[None]:
    inodes._way.cache_clear()
    yield
    inodes._way.cache_clear()


def _no_such_call(_: str | None, **__: object) -> object:
    return object()


def _forbidden(_: str | None, **__: object) -> object:
    def statx(*_: object) -> int:
        ctypes.set_errno(1)
        return -1

    return type("Library", (), {"statx": staticmethod(statx)})


@pytest.mark.parametrize("library", [None, _no_such_call, _forbidden])
def test_the_answer_is_that_of_stat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Callable[..., object] | None
) -> None:
    if library:
        monkeypatch.setattr(ctypes, "CDLL", library)
    file = tmp_path / "ü"
    file.write_bytes(b"12345")
    link = tmp_path / "link"
    link.symlink_to(file)
    for path in (file, link):
        assert looking_at(str(path))() == (file.stat().st_ino, 5)


@pytest.mark.parametrize("library", [None, _forbidden])
def test_what_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Callable[..., object] | None
) -> None:
    if library:
        monkeypatch.setattr(ctypes, "CDLL", library)
    missing = str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError) as raised:
        looking_at(missing)()
    assert raised.value.filename == missing
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        looking_at(str(tmp_path / "file" / "below"))()
