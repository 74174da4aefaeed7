"""A mirror's drive that goes away and comes back: what was written elsewhere meanwhile is not in the mirror."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.journals import Bench
from support.mirrors import export

import journal
from journal.errors import MirrorUnavailable
from journal.mirror.checking import check
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore


@pytest.fixture
def mirroring(training: Bench, store: FolderStore) -> Mirroring:
    """It has mirrored an event and a checkpoint."""
    made = Mirroring(training.journal, store)
    training.event()
    training.checkpoint(b"weights")
    made.step()
    return made


@pytest.fixture
def away(mirroring: Mirroring, store: FolderStore) -> Path:
    """Where the mirror's folder is while its drive is not mounted."""
    return store.folder.rename(store.folder.with_name("away"))


def come_back(store: FolderStore, away: Path) -> None:
    shutil.rmtree(store.folder, ignore_errors=True)
    away.rename(store.folder)


def is_whole(training: Bench, store: FolderStore, folder: Path) -> bool:
    with journal.open(folder) as opened:
        found = restore(opened, store)
    checked = check(store)
    assert (found.damaged, found.missing, checked.damaged, checked.missing) == ([], [], [], [])
    return export(folder) == export(training.journal.path)


@pytest.mark.parametrize("is_empty", [True, False], ids=["an empty mount point", "no folder"])
def test_what_is_no_mirror_any_more_gets_nothing_and_the_gap_is_filled_when_it_comes_back(
    training: Bench, store: FolderStore, mirroring: Mirroring, away: Path, tmp_path: Path, *, is_empty: bool
) -> None:
    if is_empty:
        store.folder.mkdir()
    training.event()
    training.checkpoint(b"better")
    for is_last in (False, True):
        with pytest.raises(MirrorUnavailable, match="is its drive mounted"):
            mirroring.step(is_last=is_last)
    assert list(store.folder.rglob("*")) == []
    come_back(store, away)
    training.event()
    assert mirroring.step(is_last=True) == 3
    assert mirroring.state(training.run.id).is_whole
    assert is_whole(training, store, tmp_path / "new")


def test_another_mirror_in_its_place_is_not_the_mirror(
    training: Bench, store: FolderStore, mirroring: Mirroring, away: Path, tmp_path: Path
) -> None:
    FolderStore(store.folder).put("uploader-mirror.json", b'{"id": "another"}')
    training.event()
    for _ in range(2):
        with pytest.raises(MirrorUnavailable, match="another mirror"):
            mirroring.step(is_last=True)
    come_back(store, away)
    mirroring.step(is_last=True)
    assert is_whole(training, store, tmp_path / "new")


def test_an_earlier_state_of_the_mirror_that_comes_back_is_filled_at_the_end(
    training: Bench, store: FolderStore, mirroring: Mirroring, tmp_path: Path
) -> None:
    """The drive was away and back between two events, or has lost what it had not written yet."""
    shutil.copytree(store.folder, tmp_path / "earlier")
    training.event()
    training.checkpoint(b"better")
    mirroring.step()
    come_back(store, tmp_path / "earlier")
    training.event()
    mirroring.step()
    mirroring.step(is_last=True)
    assert mirroring.state(training.run.id).is_whole
    assert is_whole(training, store, tmp_path / "new")


def test_after_a_failure_the_listing_tells_what_is_there(
    training: Bench, store: FolderStore, mirroring: Mirroring, tmp_path: Path
) -> None:
    shutil.copytree(store.folder, tmp_path / "earlier")
    training.event()
    mirroring.step()
    shutil.rmtree(store.folder)
    training.event()
    with pytest.raises(MirrorUnavailable):
        mirroring.step()
    come_back(store, tmp_path / "earlier")
    assert mirroring.step() == 2
    assert is_whole(training, store, tmp_path / "new")


def test_two_that_make_the_mirror_at_one_moment_both_go_on(
    training: Bench, store: FolderStore, mirroring: Mirroring, tmp_path: Path
) -> None:
    (store.folder / "uploader-mirror.json").write_bytes(b'{"id": "of the other one"}')
    training.event()
    assert mirroring.step(is_last=True) == 1
    assert is_whole(training, store, tmp_path / "new")


def test_an_event_that_the_mirror_has_not_got_is_counted(training: Bench, mirroring: Mirroring) -> None:
    training.event()
    state = mirroring.state(training.run.id)
    assert (state.lacking, state.is_whole) == (1, False)
