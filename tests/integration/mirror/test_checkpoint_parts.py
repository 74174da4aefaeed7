"""Checkpoints in a mirror: in parts, compressed where the library is there, and the same bytes when they come back."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clocks import Clock
from support.journals import Bench
from support.mirrors import export

import journal
from journal.errors import MirrorUnavailable
from journal.mirror import parts
from journal.mirror.checking import check
from journal.mirror.compacting import GRACE_SECONDS
from journal.mirror.following import Following
from journal.mirror.mirroring import Mirroring
from journal.mirror.recognizing import run_that_saved
from journal.mirror.restoring import Restored, restore
from journal.mirror.stores import FolderStore

SIZE = 4 << 20
compressing = pytest.mark.skipif(not parts.coding(), reason="zstandard is not installed")


def weights(seed: int = 1, size: int = SIZE) -> bytes:
    numbers = random.Random(seed)
    some = struct.pack(f"<{1 << 14}f", *(numbers.gauss(0, 0.02) for _ in range(1 << 14)))
    return (some * (size // len(some) + 1))[:size]


def noise(seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(SIZE)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without zstandard."""
    monkeypatch.setattr(parts, "library", lambda: None)


def come_back(training: Bench, store: FolderStore, folder: Path) -> Restored:
    with journal.open(folder) as opened:
        found = restore(opened, store)
        assert opened.blobs.names() == training.journal.blobs.names()
    assert export(folder) == export(training.journal.path)
    return found


@pytest.mark.parametrize("size", [7, parts.WHOLE_BELOW - 1, parts.WHOLE_BELOW, SIZE + 13])
@pytest.mark.parametrize("is_bare", [True, pytest.param(False, marks=compressing)], ids=["as it is", "compressed"])
def test_the_same_bytes_come_back(
    training: Bench, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, size: int, is_bare: bool
) -> None:
    if is_bare:
        monkeypatch.setattr(parts, "library", lambda: None)
    training.checkpoint(weights(size=size))
    Mirroring(training.journal, store).step(is_last=True)
    assert bool(list(store.list("parts/"))) == (size >= parts.WHOLE_BELOW)
    checked = check(store)
    assert (checked.damaged, checked.missing, checked.checkpoints) == ([], [], 1)
    found = come_back(training, store, tmp_path / "new")
    assert (found.damaged, found.missing, found.bytes) == ([], [], size)


@compressing
def test_weights_take_less_than_their_size(training: Bench, store: FolderStore) -> None:
    training.checkpoint(weights())
    Mirroring(training.journal, store).step(is_last=True)
    assert sum(found.size for prefix in ("blobs/", "parts/") for found in store.list(prefix)) < 0.85 * SIZE


class Counting(FolderStore):
    """Counts what is written, and goes away after so many parts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.parts = 0
        self.bytes = 0
        self.left = 1 << 30

    def put_part(self, name: str, content: bytes) -> None:
        if name.startswith("parts/"):
            if self.parts == self.left:
                raise MirrorUnavailable("it went away")
            self.parts += 1
            self.bytes += len(content)
        super().put_part(name, content)


def test_an_upload_that_was_interrupted_sends_what_is_not_there(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    """By a process that is killed, say: the next one knows nothing of the first."""
    training.checkpoint(noise())
    counting = Counting(store.folder)
    for left in (5, 13, 31):
        counting.left = left
        with pytest.raises(MirrorUnavailable):
            Mirroring(training.journal, counting).step()
        assert check(store).checkpoints == 0  # a part of one is none
    counting.left = 1 << 30
    Mirroring(training.journal, counting).step()
    assert (counting.parts, counting.bytes < 1.001 * SIZE) == (SIZE // (128 << 10), True)
    come_back(training, store, tmp_path / "new")


def test_a_torn_part_is_sent_again(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    """Without its list, as after a power cut."""
    training.checkpoint(noise())
    Mirroring(training.journal, store).step()
    (listed,) = store.folder.glob("blobs/*.json")
    listed.unlink()
    torn = min(store.folder.glob("parts/*/*"))
    torn.write_bytes(torn.read_bytes()[:-4])
    counting = Counting(store.folder)
    Mirroring(training.journal, counting).step()
    assert counting.parts == 1
    come_back(training, store, tmp_path / "new")


def test_a_mirror_of_an_earlier_version_has_whole_files(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    sha256 = training.checkpoint(noise())
    with training.journal.blobs.path(sha256).open("rb") as file:
        store.put_file(f"blobs/{sha256}", file, sha256, lambda: None)
    Mirroring(training.journal, store).step(is_last=True)
    assert list(store.list("parts/")) == []
    assert check(store).checkpoints == 1
    come_back(training, store, tmp_path / "new")


def test_a_superseded_one_goes_with_its_parts_and_so_does_what_an_interrupted_upload_left(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    clock, counting = Clock(), Counting(store.folder)
    training.checkpoint(noise(1))
    Mirroring(training.journal, store).step()
    training.checkpoint(noise(2))
    counting.left = 5
    with pytest.raises(MirrorUnavailable):
        Mirroring(training.journal, counting).step()
    newest = training.checkpoint(noise(3))
    mirroring = Mirroring(training.journal, store, clock=clock)
    mirroring.step()
    clock.now += GRACE_SECONDS + 1
    mirroring.step(is_last=True)
    assert [path.name for path in store.folder.glob("blobs/*")] == [f"{newest}.json"]
    assert {path.parent.name for path in store.folder.glob("parts/*/*")} == {newest}
    with journal.open(tmp_path / "new") as opened:
        assert restore(opened, store).missing == []


def _lose(part: Path) -> str:
    part.unlink()
    return "is missing"


def _tear(part: Path) -> str:
    part.write_bytes(part.read_bytes()[:-1])
    return "is damaged"


@pytest.mark.parametrize("harm", [_lose, _tear])
@pytest.mark.parametrize("is_bare", [False, True])
def test_a_part_that_is_lost_or_torn_is_named(
    training: Bench,
    store: FolderStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    harm: Callable[[Path], str],
    is_bare: bool,
) -> None:
    training.checkpoint(noise())
    training.event()
    Mirroring(training.journal, store).step()
    part = min(store.folder.glob("parts/*/*"))
    why = f"{part.name}{', a part of a checkpoint,' if harm is _lose else ''} {harm(part)}"
    with journal.open(tmp_path / "new") as opened:
        (damaged,) = restore(opened, store).damaged
        assert (why in damaged, list(opened.blobs.names())) == (True, [])
    if is_bare:
        monkeypatch.setattr(parts, "library", lambda: None)
    assert why in check(store).damaged[0]


@compressing
def test_without_the_library_all_else_comes_back_and_the_checkpoint_when_it_is_installed(
    training: Bench, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event waits, too: an upload without its bytes would be a dead letter."""
    training.checkpoint(weights())
    training.checkpoint(weights(2), "best")
    training.event()
    Mirroring(training.journal, store).step()
    with monkeypatch.context() as bare, journal.open(tmp_path / "new") as opened:
        bare.setattr(parts, "library", lambda: None)
        assert check(store).damaged == []
        found = restore(opened, store)
        assert (found.events, len(found.damaged)) == (1, 1)
        assert "pip install 'offline-uploader[mirror]'" in found.troubles[0]
    found = come_back(training, store, tmp_path / "new")
    assert (found.events, found.checkpoints, found.troubles) == (2, 2, [])


def test_one_that_is_followed_comes_in_when_its_last_part_has(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    training.checkpoint(noise())
    Mirroring(training.journal, store).step()
    part = min(store.folder.glob("parts/*/*"))
    late = part.rename(tmp_path / "late")
    with journal.open(tmp_path / "new") as opened:
        following = Following(opened, store.address)
        assert following.look().events == 0
        late.rename(part)
        assert (following.look().checkpoints, following.troubles) == (1, {})
    assert export(tmp_path / "new") == export(training.journal.path)


def test_a_run_is_recognised_without_fetching_checkpoints(
    training: Bench, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = noise()
    training.checkpoint(content)
    Mirroring(training.journal, store).step()
    (tmp_path / "last.pt").write_bytes(content)
    read: list[str] = []
    get = FolderStore.get
    monkeypatch.setattr(FolderStore, "get", lambda own, name: read.append(name) or get(own, name))  # type: ignore[func-returns-value]
    assert run_that_saved(store, tmp_path / "last.pt") == training.run.id
    assert [name for name in read if name.startswith("parts/")] == []
