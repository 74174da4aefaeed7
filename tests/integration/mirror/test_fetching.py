"""Checkpoints of a mirror are fetched several at once, by a bounded number of threads with bounded memory."""

from __future__ import annotations

import json
import random
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from support.disks import small_disk
from support.journals import Bench

import journal
from journal.errors import DiskFull, MirrorUnavailable
from journal.mirror import fetching, parts
from journal.mirror.fetching import AT_ONCE
from journal.mirror.layout import part_name
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore

COUNT = 2 * AT_ONCE
SIZE = parts.WHOLE_BELOW


@pytest.fixture
def sha256s(training: Bench, store: FolderStore) -> list[str]:
    """Return the checkpoints of a mirror, in the order in which they are fetched."""
    made = [training.checkpoint(random.Random(n).randbytes(SIZE), f"role {n}") for n in range(COUNT)]
    Mirroring(training.journal, store).step()
    return sorted(made)


def in_parts(name: str) -> str | None:
    """Return the checkpoint that an object is the first part of."""
    return name.split("/")[1] if name.startswith("parts/") and name.split("/")[2].startswith(FIRST) else None


FIRST = part_name("", 0, "").rpartition("/")[2]


class Watched(FolderStore):
    """Calls something before it reads the first part of a checkpoint."""

    def __init__(self, folder: Path, look: Callable[[str], object]) -> None:
        super().__init__(folder)
        self._look = look

    def get(self, name: str) -> bytes | None:
        if sha256 := in_parts(name):
            self._look(sha256)
        return super().get(name)


@pytest.mark.usefixtures("sha256s")
def test_several_are_fetched_at_once_by_so_many_threads(store: FolderStore, tmp_path: Path) -> None:
    together, threads = threading.Barrier(AT_ONCE), set[int]()

    def look(_: str) -> None:
        threads.add(threading.get_ident())
        together.wait(100)

    with journal.open(tmp_path / "new") as opened:
        assert restore(opened, Watched(store.folder, look)).checkpoints == COUNT
    assert len(threads) == AT_ONCE


def test_only_a_part_of_each_is_in_memory(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    for number in range(2):
        training.checkpoint(random.Random(number).randbytes(4 * SIZE), f"role {number}")
    Mirroring(training.journal, store).step()
    with journal.open(tmp_path / "new") as opened:
        restore(opened, FolderStore(tmp_path / "nothing"))  # what is loaded at the first time is not counted
        tracemalloc.start()
        try:
            assert restore(opened, store).bytes == 8 * SIZE
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 2 * 4 * parts.part_size(4 * SIZE) + SIZE


def test_an_interrupted_restore_leaves_nothing_behind_and_goes_on_with_what_it_lacks(
    store: FolderStore, sha256s: list[str], tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    fetched: list[str] = []

    def look(sha256: str) -> None:
        fetched.append(sha256)
        if sha256 == sha256s[2]:
            raise MirrorUnavailable("it went away")

    with journal.open(tmp_path / "new") as opened:
        with pytest.raises(MirrorUnavailable, match="it went away"):
            restore(opened, Watched(store.folder, look))
        assert set(threading.enumerate()) <= before
        assert sorted(path.name for path in opened.blobs.folder.iterdir()) == opened.blobs.names()
        assert opened.blobs.names() == sha256s[:2]
        fetched.clear()
        assert restore(opened, Watched(store.folder, fetched.append)).checkpoints == COUNT - 2
        assert (sorted(fetched), opened.blobs.names()) == (sha256s[2:], sha256s)


def test_a_restore_that_is_stopped_fetches_nothing_more(
    store: FolderStore, sha256s: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, is_over, fetched = set(threading.enumerate()), threading.Event(), list[str]()
    monkeypatch.setattr(fetching, "Event", lambda: is_over)

    def look(sha256: str) -> None:
        fetched.append(sha256)
        assert sha256 == sha256s[0] or is_over.wait(100)

    def stop() -> None:
        raise KeyboardInterrupt

    with journal.open(tmp_path / "new") as opened:
        with pytest.raises(KeyboardInterrupt):
            restore(opened, Watched(store.folder, look), between=stop)
        assert set(threading.enumerate()) <= before
        assert list(opened.blobs.folder.glob(".tmp-*")) == []
    assert len(fetched) <= 1 + AT_ONCE


@pytest.mark.parametrize("size", [SIZE, SIZE - 1], ids=["in parts", "whole"])
def test_a_disk_that_is_too_small_for_what_comes_back_is_named(
    training: Bench, store: FolderStore, tmp_path: Path, size: int
) -> None:
    training.checkpoint(random.Random(1).randbytes(size))
    Mirroring(training.journal, store).step()
    with small_disk(tmp_path / "small", "1m") as disk, journal.open(disk / "journal") as opened:
        with pytest.raises(DiskFull, match="small"):
            restore(opened, store)
        assert list(opened.blobs.folder.iterdir()) == []


def test_parts_in_another_order_are_not_the_checkpoint(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    """Each of them is what its name says."""
    sha256 = training.checkpoint(random.Random(1).randbytes(SIZE))
    Mirroring(training.journal, store).step()
    listed = store.folder / "blobs" / f"{sha256}.json"
    values = json.loads(listed.read_text())
    one, other = values["digests"][:2]
    first, second = (store.get(part_name(sha256, number, digest)) for number, digest in enumerate((one, other)))
    assert first is not None
    assert second is not None
    store.put(part_name(sha256, 0, other), second)
    store.put(part_name(sha256, 1, one), first)
    values["digests"][:2] = other, one
    listed.write_text(json.dumps(values))
    with journal.open(tmp_path / "new") as opened:
        (why,) = restore(opened, store).damaged
        assert f"{sha256} is damaged: its content is not what its name says" in why
        assert list(opened.blobs.folder.iterdir()) == []
