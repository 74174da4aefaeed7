"""Small segments are merged and superseded checkpoints go, without a moment that lacks a complete copy."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clocks import Clock
from support.journals import Bench
from support.mirrors import export

import journal
from journal.kinds import BEST, LAST
from journal.mirror import compacting, segments
from journal.mirror.checking import check
from journal.mirror.compacting import FANOUT, mergeable
from journal.mirror.layout import SegmentName
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore

RUN, SESSION = "6f1c0000-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000002"


def ranges(store: FolderStore) -> list[tuple[int, int]]:
    names = (SegmentName.parse(found.name) for found in store.list("runs/"))
    return sorted((name.first, name.last) for name in names if name)


def blobs(store: FolderStore) -> set[str]:
    return {found.name.removeprefix("blobs/") for found in store.list("blobs/")}


def mirrored_one_by_one(training: Bench, store: FolderStore, events: int, clock: Clock) -> Mirroring:
    mirroring = Mirroring(training.journal, store, clock=clock)
    for number in range(events):
        training.event(payload={"epoch": number}, key=str(number))
        mirroring.step()
    return mirroring


def restored(store: FolderStore, folder: Path) -> int:
    with journal.open(folder) as opened:
        there = restore(opened, store)
    assert there.damaged == []
    return there.events


@given(st.lists(st.integers(1, 300), max_size=60), st.booleans())
def test_only_neighbours_are_merged_and_not_into_one_that_is_too_large(sizes: list[int], by_size: bool) -> None:
    names, first = [], 1
    for size in sizes:
        names.append(SegmentName(RUN, SESSION, first, first + size - 1, "0" * 32))
        first += size + (size % 7 == 0)  # a gap now and then
    for group in mergeable(reversed(names), 2, by_size=by_size):
        assert len(group) >= 2
        assert all(later.first == earlier.last + 1 for earlier, later in pairwise(group))
        assert group[-1].last - group[0].first < segments.MOST_EVENTS


def test_many_small_segments_become_few_and_an_event_is_written_anew_a_few_times(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    clock = Clock()
    mirroring = mirrored_one_by_one(training, store, 40, clock)
    assert {(1, FANOUT), (17, 32)} <= set(ranges(store))
    assert len(ranges(store)) == 42  # those that were replaced are there for a while
    clock.now = compacting.GRACE_SECONDS - 1
    mirroring.step()
    assert len(ranges(store)) == 42
    clock.now += 2
    mirroring.step()
    assert ranges(store) == [(1, 16), (17, 32), *((number, number) for number in range(33, 41))]
    assert check(store).damaged == check(store).missing == []
    assert restored(store, tmp_path / "new") == 40
    assert export(tmp_path / "new")["events"] == export(training.journal.path)["events"]


def test_what_was_merged_several_times_leaves_nothing(
    training: Bench, store: FolderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compacting, "FANOUT", 3)
    clock = Clock()
    mirroring = mirrored_one_by_one(training, store, 29, clock)
    mirroring.step(is_last=True)
    clock.now = 10_000
    mirroring.step()
    assert ranges(store) == [(1, 29)]
    assert restored(store, tmp_path / "new") == 29


def test_the_end_merges_what_is_left(training: Bench, store: FolderStore) -> None:
    mirroring = mirrored_one_by_one(training, store, 5, Clock())
    mirroring.step(is_last=True)
    assert (1, 5) in ranges(store)


def test_what_is_left_of_a_process_that_ended_is_deleted_by_another_one(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    mirrored_one_by_one(training, store, 3, Clock()).step(is_last=True)
    later = Mirroring(training.journal, store)
    later.step()
    assert len(ranges(store)) == 4
    for path in store.folder.rglob("*.gz"):
        os.utime(path, (1, 1))
    Mirroring(training.journal, store).step()
    assert ranges(store) == [(1, 3)]
    assert restored(store, tmp_path / "new") == 3


def test_nothing_is_deleted_while_what_replaces_it_cannot_be_read(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    clock = Clock()
    mirroring = mirrored_one_by_one(training, store, 3, clock)
    mirroring.step(is_last=True)
    (merged,) = store.folder.rglob("1-3-*.gz")
    merged.write_bytes(merged.read_bytes()[:-3])
    clock.now = 10_000
    mirroring.step()
    assert len(ranges(store)) == 4
    with journal.open(tmp_path / "new") as opened:
        assert restore(opened, store).events == 3


def test_a_segment_that_is_found_damaged_is_handed_over_again(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    mirroring = mirrored_one_by_one(training, store, 3, Clock())
    (middle,) = store.folder.rglob("2-2-*.gz")
    middle.write_bytes(b"torn")
    mirroring.step(is_last=True)
    mirroring.step(is_last=True)
    assert restored(store, tmp_path / "new") == 3


def test_segments_are_not_merged_beyond_their_size(
    training: Bench, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MOST_BYTES", 3_000)
    mirroring = Mirroring(training.journal, store)
    for _ in range(4):
        training.event(payload={"text": "x" * 1_000})
        mirroring.step()
    mirroring.step(is_last=True)
    mirroring.step(is_last=True)
    assert [one for one in ranges(store) if one[0] != one[1]] == [(1, 2)]


def test_a_superseded_checkpoint_goes_after_its_successor_has_come(training: Bench, store: FolderStore) -> None:
    clock = Clock()
    mirroring = Mirroring(training.journal, store, clock=clock)
    old = training.checkpoint(b"old", LAST)
    kept = training.checkpoint(b"best", BEST)
    mirroring.step()
    new = training.checkpoint(b"new", LAST)
    (training.journal.blobs.folder / new).rename(training.journal.path / "away")
    mirroring.step()
    clock.now = 10_000
    mirroring.step()
    assert blobs(store) == {old, kept}
    (training.journal.path / "away").rename(training.journal.blobs.folder / new)
    newest = training.checkpoint(b"newest", LAST)
    mirroring.step()
    assert blobs(store) == {old, kept, newest}
    clock.now = 20_000
    mirroring.step()
    assert blobs(store) == {kept, newest}
