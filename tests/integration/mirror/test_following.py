"""A mirror is followed while a training elsewhere adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clocks import Clock
from support.journals import Bench, rows
from support.mirrors import export

import journal
from journal.errors import MirrorUnavailable
from journal.mirror.following import IN_TRANSIT_SECONDS, Following
from journal.mirror.layout import BLOBS, RUNS
from journal.mirror.mirror_state import states
from journal.mirror.mirroring import Mirroring
from journal.mirror.results_mirroring import RESULTS_SECONDS
from journal.mirror.stores import FolderStore


class World:
    """A training on one machine, its mirror, and a journal elsewhere into which that is taken."""

    def __init__(self, training: Bench, store: FolderStore, into: journal.Journal) -> None:
        self.training = training
        self.store = store
        self.into = into
        self.clock = Clock()
        self.mirroring = Mirroring(training.journal, store, clock=self.clock)
        self.before: set[Path] = set()
        self.mirror()
        self.following = Following(into, store.address, self.clock)

    def is_same(self) -> bool:
        return export(self.into.path) == export(self.training.journal.path)

    def files(self, prefix: str = "") -> set[Path]:
        return {self.store.folder / found.name for found in self.store.list(prefix)}

    def mirror(self) -> None:
        """Mirror what is new, and keep in mind what was there before."""
        self.before = self.files()
        self.mirroring.step()

    def newest(self, prefix: str) -> Path:
        """Return the file that was mirrored last; their times may be the same."""
        [new] = self.files(prefix) - self.before
        return new

    def epochs(self) -> int:
        return int(rows(self.into.path, "SELECT count(*) FROM events WHERE kind = 'epoch_end'")[0][0])


@pytest.fixture
def world(training: Bench, store: FolderStore, tmp_path: Path) -> Iterator[World]:
    with journal.open(tmp_path / "elsewhere") as into:
        training.event("training_started")
        yield World(training, store, into)


def test_what_is_new_comes_in_with_each_look_and_nothing_else_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.following.look().events == 1
    read: list[str] = []
    get = FolderStore.get
    monkeypatch.setattr(FolderStore, "get", lambda store, name: read.append(name) or get(store, name))
    for number in range(3):
        world.training.event()
        world.mirror()
        read.clear()
        assert world.following.look().events == 1, number
        assert len([name for name in read if name.startswith(RUNS)]) == 1
    read.clear()
    assert world.following.look().runs == []
    assert [name for name in read if name.startswith(RUNS)] == []
    assert world.is_same()


def test_segments_that_were_merged_meanwhile_bring_nothing_twice(world: World) -> None:
    for _ in range(20):
        world.training.event()
        world.mirror()
    world.following.look()
    world.mirroring.step(is_last=True)
    world.clock.now += 2 * IN_TRANSIT_SECONDS
    world.mirroring.step(is_last=True)  # and deletes what it has merged
    assert (world.following.look().events, world.following.troubles) == (0, {})
    assert world.is_same()


def _tear(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


@pytest.mark.parametrize("harm", [_tear, Path.unlink], ids=["torn", "late"])
def test_what_is_not_whole_yet_is_trouble_until_it_is(world: World, harm: Callable[[Path], None]) -> None:
    world.following.look()
    world.training.event()
    world.mirror()
    segment = world.newest(RUNS)
    content = segment.read_bytes()
    harm(segment)
    world.training.event("training_complete")
    world.mirror()
    for _ in range(2):
        world.following.look()
        assert (world.following.troubles == {}, world.following.lasting_troubles) == (False, [])
        assert not world.following.is_over
    segment.write_bytes(content)
    world.following.look()
    assert (world.following.troubles, world.following.is_over) == ({}, True)
    assert world.is_same()


def test_what_stays_torn_is_lost_after_a_while_and_keeps_nobody_waiting(world: World) -> None:
    world.training.event()
    world.mirror()
    _tear(world.newest(RUNS))
    world.training.event("training_complete")
    world.mirror()
    world.following.look()
    assert not world.following.is_over
    world.clock.now += IN_TRANSIT_SECONDS
    world.following.look()
    assert "is damaged" in world.following.lasting_troubles[0]
    assert world.following.is_over


def test_the_event_of_a_checkpoint_waits_for_its_bytes_and_no_other_event_does(world: World) -> None:
    world.training.checkpoint(b"weights")
    world.training.event()
    world.mirror()
    away = world.newest(BLOBS).rename(world.store.folder.parent / "late")
    world.following.look()
    assert world.epochs() == 1
    assert rows(world.into.path, "SELECT * FROM events WHERE kind = 'checkpoint'") == []
    assert not world.following.is_over
    away.rename(world.store.folder / BLOBS / world.training.journal.blobs.names().pop())
    assert world.following.look().checkpoints == 1
    assert (world.is_same(), world.following.troubles) == (True, {})


def test_a_checkpoint_whose_bytes_never_come_is_named_and_its_event_comes_in_after_a_while(world: World) -> None:
    sha256 = world.training.checkpoint(b"weights")
    world.mirror()
    world.newest(BLOBS).unlink()
    world.following.look()
    assert not world.is_same()
    world.clock.now += IN_TRANSIT_SECONDS
    world.following.look()
    assert world.is_same()
    assert f"missing: checkpoint {sha256}, which a run needs" in world.following.lasting_troubles


def test_one_that_a_newer_one_replaces_before_it_has_come_is_not_waited_for(world: World) -> None:
    world.training.checkpoint(b"weights")
    world.mirror()
    world.newest(BLOBS).unlink()
    world.following.look()
    world.training.checkpoint(b"better")
    world.mirror()
    world.following.look()
    assert (world.is_same(), world.following.troubles) == (True, {})


def test_a_mirror_that_goes_away_and_comes_back_is_followed_again(world: World) -> None:
    world.following.look()
    away = world.store.folder.rename(world.store.folder.with_name("away"))
    for _ in range(2):
        with pytest.raises(MirrorUnavailable, match="is its drive mounted"):
            world.following.look()
        assert not world.following.is_over
    FolderStore(world.store.folder).put("uploader-mirror.json", b'{"id": "another"}')
    with pytest.raises(MirrorUnavailable, match="another mirror"):
        world.following.look()
    (world.store.folder / "uploader-mirror.json").unlink()
    world.store.folder.rmdir()
    away.rename(world.store.folder)
    world.training.event()
    world.mirror()
    assert world.following.look().events == 1
    assert world.is_same()


@pytest.mark.parametrize("kind", ["training_complete", "training_failed"])
def test_it_is_over_when_each_run_has_told_its_end(world: World, kind: str) -> None:
    world.following.look()
    assert not world.following.is_over
    world.training.event(kind)
    world.mirror()
    world.following.look()
    assert world.following.is_over


def test_what_platforms_answer_is_handed_back(world: World) -> None:
    """So another machine that drains the mirror sends none of it again."""
    world.following.look()
    assert [one.address for one in states(world.into.path)[world.training.run.id]] == [world.store.address]
    world.before = world.files()
    with world.into.begin() as connection:
        connection.exec_driver_sql("UPDATE targets SET state = 'registered', ids = '{\"modelId\": \"m-1\"}'")
    world.following.look()
    assert b"m-1" in world.newest(RUNS).read_bytes()
    world.clock.now += RESULTS_SECONDS
    assert world.following.look().runs == []  # nor is it read again from where it was written
