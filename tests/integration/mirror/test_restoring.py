from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from support.journals import Bench, bench, rows
from support.mirrors import export

import journal
from journal.errors import MirrorUnavailable
from journal.kinds import BEST, FINAL, GIVEN_UP, LAST
from journal.losses import Loss, loss_payload
from journal.mirror.layout import SegmentName
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import Restored, restore
from journal.mirror.stores import FolderStore


def restored(folder: Path, store: FolderStore) -> Restored:
    with journal.open(folder) as opened:
        return restore(opened, store)


def files(store: FolderStore) -> list[Path]:
    return sorted(store.folder.rglob("*.jsonl.gz"))


def segments(store: FolderStore) -> list[SegmentName]:
    names = [SegmentName.parse(path.relative_to(store.folder).as_posix()) for path in files(store)]
    return sorted((name for name in names if name), key=lambda name: (name.session, name.first, name.last))


def test_a_lost_journal_is_restored_and_doing_it_again_changes_nothing(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    for epoch in range(3):
        training.event(payload={"epoch": epoch, "metrics": {"loss": 0.1 * epoch, "é": None}}, key=str(epoch))
    sha256 = training.checkpoint(b"weights", LAST)
    assert Mirroring(training.journal, store).step() == 4
    there = restored(tmp_path / "new", store)
    assert (there.events, there.checkpoints, there.damaged, there.missing) == (4, 1, [], [])
    assert export(tmp_path / "new") == export(training.journal.path)
    assert (tmp_path / "new" / "blobs" / sha256).read_bytes() == b"weights"
    assert rows(tmp_path / "new", "SELECT sha256, state FROM blobs") == [(sha256, "present")]
    again = restored(tmp_path / "new", store)
    assert (again.events, again.checkpoints) == (0, 0)
    assert export(tmp_path / "new") == export(training.journal.path)


def test_only_what_is_new_is_handed_over(training: Bench, store: FolderStore) -> None:
    mirroring = Mirroring(training.journal, store)
    numbers = []
    for count in (2, 0, 3):
        for _ in range(count):
            training.event()
        numbers.append(mirroring.step())
    assert numbers == [2, 0, 3]
    assert [(name.first, name.last) for name in segments(store)] == [(1, 2), (3, 5)]
    assert Mirroring(training.journal, store).step() == 0  # another process learns it from the listing


def test_segments_are_chained_across_processes(training: Bench, store: FolderStore) -> None:
    from journal.mirror.segment_reading import read_segment

    for _ in range(3):
        training.event()
        Mirroring(training.journal, store).step()
    parts = [read_segment(store, name) for name in segments(store)]
    assert [part.before for part in parts] == [None, parts[0].after, parts[1].after]


def test_late_numbers_are_handed_over_when_they_come(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    """They were in a fallback file, which a drain has ingested since."""
    mirroring = Mirroring(training.journal, store)
    ids = [training.event(key=str(number)) for number in range(5)]
    with training.journal.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE late AS SELECT * FROM events WHERE id IN (?, ?)", (ids[1], ids[2]))
        connection.exec_driver_sql("DELETE FROM events WHERE id IN (?, ?)", (ids[1], ids[2]))
    assert mirroring.step() == 3
    with training.journal.begin() as connection:
        columns = "run_id, session_id, kind, key, payload, created_at, seq"
        connection.exec_driver_sql(f"INSERT INTO events ({columns}) SELECT {columns} FROM late")
    assert mirroring.step() == 2
    restored(tmp_path / "new", store)
    assert export(tmp_path / "new")["events"] == export(training.journal.path)["events"]


def test_mirrors_that_overlap_by_half_make_one_journal_in_any_order(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    other, copy = FolderStore(tmp_path / "other"), tmp_path / "copy"
    first, second = Mirroring(training.journal, store), Mirroring(training.journal, other)
    for epoch in range(9):
        training.event(key=str(epoch))
        if epoch < 6:
            first.step()
        if epoch == 4:
            shutil.rmtree(other.folder, ignore_errors=True)
            second = Mirroring(training.journal, other)
        if epoch >= 4:
            second.step()
    for path in sorted(other.folder.rglob("1-*.gz")):  # the second one has its later half only
        path.unlink()
    for number, order in enumerate(itertools.permutations((store, other, store), 3)):
        for each in order:
            restored(copy / str(number), each)
        assert export(copy / str(number))["events"] == export(training.journal.path)["events"]


def test_a_damaged_segment_costs_only_itself_and_is_named(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    mirroring = Mirroring(training.journal, store)
    for epoch in range(3):
        training.event(key=str(epoch))
        mirroring.step()
    (middle,) = store.folder.rglob("2-2-*.gz")
    middle.write_bytes(middle.read_bytes()[:-4])
    there = restored(tmp_path / "new", store)
    assert there.events == 2
    assert [middle.name in words for words in there.damaged] == [True]


def test_events_that_are_missing_between_others_are_named_until_the_journal_has_them(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    """As on a drive that has not sent all files yet."""
    mirroring = Mirroring(training.journal, store)
    for epoch in range(4):
        training.event(key=str(epoch))
        mirroring.step()
    parts = [path for first in (1, 3) for path in store.folder.rglob(f"{first}-*.gz")]
    for path in parts:
        path.rename(tmp_path / path.name)
    session = parts[0].parent.name
    there = restored(tmp_path / "new", store)
    expected = [f"events {n} to {n} of session {session} of run {training.run.id}" for n in (1, 3)]
    assert (there.gaps, there.damaged) == (expected, [])
    for path in parts:
        (tmp_path / path.name).rename(path)
    assert restored(tmp_path / "new", store).gaps == []
    parts[0].unlink()
    assert restored(tmp_path / "new", store).gaps == []


def test_events_that_the_run_says_were_evicted_are_not_missing(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    for number in range(3):
        training.event("console", key=str(number))
    with training.journal.begin() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE key = '1'")
    training.event(GIVEN_UP, loss_payload("full", [Loss("console chunks", 1, 9)]))
    Mirroring(training.journal, store).step()
    assert restored(tmp_path / "new", store).gaps == []


def test_where_a_merged_segment_is_damaged_those_that_it_replaces_are_taken(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    mirroring = Mirroring(training.journal, store)
    for epoch in range(3):
        training.event(key=str(epoch))
        mirroring.step()
    whole = FolderStore(tmp_path / "whole")
    Mirroring(training.journal, whole).step()
    (merged,) = files(whole)
    (files(store)[0].parent / merged.name).write_bytes(merged.read_bytes()[:-4])
    there = restored(tmp_path / "new", store)
    assert (there.events, len(there.damaged)) == (3, 1)


def test_only_checkpoints_that_are_needed_are_mirrored(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    mirroring = Mirroring(training.journal, store)
    kept = [
        training.checkpoint(b"best", BEST),
        training.checkpoint(b"last 2", LAST),
        training.checkpoint(b"end", FINAL),
    ]
    mirroring.step()
    assert sorted(path.name for path in (store.folder / "blobs").iterdir()) == sorted(kept)
    restored(tmp_path / "new", store)
    assert sorted(path.name for path in (tmp_path / "new" / "blobs").iterdir()) == sorted(kept)


def test_a_checkpoint_is_there_before_its_event(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    """A drain that delivers meanwhile finds the bytes of what it plans."""
    training.event("training_started")
    training.checkpoint(b"best", BEST)
    Mirroring(training.journal, store).step()
    seen = []
    with journal.open(tmp_path / "new") as opened:

        def look() -> None:
            events = rows(opened.path, "SELECT count(*) FROM events")[0][0]
            seen.append((events, len(opened.blobs.names())))

        restore(opened, store, between=look)
    assert seen == [(0, 1), (2, 1)]


def test_a_checkpoint_that_the_mirror_lacks_or_has_damaged_is_named(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    lost, damaged = training.checkpoint(b"best", BEST), training.checkpoint(b"last", LAST)
    Mirroring(training.journal, store).step()
    (store.folder / "blobs" / lost).unlink()
    (store.folder / "blobs" / damaged).write_bytes(b"lasd")
    there = restored(tmp_path / "new", store)
    assert (there.checkpoints, there.missing) == (0, [lost])
    assert [damaged in words for words in there.damaged] == [True]
    assert list((tmp_path / "new" / "blobs").iterdir()) == []


def test_different_events_with_one_number_are_both_kept(training: Bench, store: FolderStore, tmp_path: Path) -> None:
    """As after a machine was reset to a snapshot, and continued another way."""
    training.event(key="shared")
    shutil.copytree(training.journal.path, tmp_path / "snapshot")
    training.event(key="one")
    Mirroring(training.journal, store).step()
    with journal.open(tmp_path / "snapshot") as opened:
        with opened.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO events (run_id, session_id, kind, key, payload, created_at, seq) "
                "SELECT run_id, session_id, kind, 'other', payload, created_at, 2 FROM events"
            )
        restore(opened, store)
    assert [row[4] for row in export(tmp_path / "snapshot")["events"]].count("one") == 1
    assert len(export(tmp_path / "snapshot")["events"]) == 3


def test_several_runs_and_their_sessions_come_back_in_their_order(
    training: Bench, store: FolderStore, tmp_path: Path
) -> None:
    from journal.sessions.identity import Session

    training.event("training_started")
    second = training.writer.start_session(training.run.id, session=Session(training.run.id))
    training.writer.append(training.run.id, second, "training_started", {}, "2")
    with bench(training.journal.path) as later:
        later.event("training_started")
    Mirroring(training.journal, store).step()
    restored(tmp_path / "new", store)
    query = """SELECT s.generation, r.created_at FROM events e JOIN sessions s ON s.id = e.session_id
               JOIN runs r ON r.id = e.run_id ORDER BY e.id"""
    assert rows(tmp_path / "new", query) == rows(training.journal.path, query)
    assert rows(tmp_path / "new", "SELECT platform, base_url FROM destinations") == rows(
        training.journal.path, "SELECT platform, base_url FROM destinations"
    )


def test_a_mirror_of_one_run_has_no_other(training: Bench, store: FolderStore) -> None:
    training.event()
    with bench(training.journal.path) as other:
        other.event()
    assert Mirroring(training.journal, store, [training.run.id]).step() == 1
    assert {name.run for name in segments(store)} == {training.run.id}


def test_nothing_is_handed_over_before_it_is_flushed(
    training: Bench, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(type(training.journal), "flush", lambda _: seen.append(len(files(store))))
    training.event()
    Mirroring(training.journal, store).step()
    assert seen == [0]


def test_a_folder_that_cannot_be_written_raises_an_error_of_ours(training: Bench, tmp_path: Path) -> None:
    training.event()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MirrorUnavailable, match="cannot be written"):
        Mirroring(training.journal, FolderStore(tmp_path / "file")).step()


def test_what_a_killed_process_left_in_a_folder_is_none_of_the_mirrors_objects(store: FolderStore) -> None:
    store.put("blobs/one", b"1")
    (store.folder / "blobs" / ".tmp-x").write_bytes(b"half")
    assert [found.name for found in store.list()] == ["blobs/one"]


def test_an_object_that_was_cut_short_is_put_again(store: FolderStore) -> None:
    store.put("blobs/one", b"whole")
    (store.folder / "blobs" / "one").write_bytes(b"wh")
    store.put("blobs/one", b"whole")
    assert store.get("blobs/one") == b"whole"
