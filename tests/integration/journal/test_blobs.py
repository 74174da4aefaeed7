"""Checkpoint bytes: whole or not at all, once, and there as long as anything needs them."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.disks import fill, reflink_disk, small_disk
from support.journals import Bench, rows

from journal.checkpoints import blobs
from journal.checkpoints.blobs import BlobStore, Snapshot, file_stamp
from journal.errors import BlobMissing, DiskFull, SourceChanged
from journal.records import Outcome

CONTENT = b"weights " * 400_000  # several chunks


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    (tmp_path / "blobs").mkdir()
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint that was written a while ago."""
    path = tmp_path / "last.pt"
    path.write_bytes(CONTENT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def files(store: BlobStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


# --- taking a snapshot


def test_a_snapshot_is_the_file(store: BlobStore, source: Path) -> None:
    snapshot = store.snapshot(source)
    assert snapshot.path.read_bytes() == CONTENT
    assert (snapshot.sha256, snapshot.size) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert snapshot.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_files_of_any_size(store: BlobStore, source: Path, size: int) -> None:
    source.write_bytes(b"x" * size)
    snapshot = store.snapshot(source)
    assert (snapshot.size, snapshot.sha256) == (size, hashlib.sha256(b"x" * size).hexdigest())


def rewrite(path: Path) -> None:
    path.write_bytes(CONTENT[::-1])


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace_by_rename(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(CONTENT)
    os.utime(new, (1_700_000_000, 1_700_000_000))
    new.replace(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [rewrite, append, replace_by_rename, remove])
def test_a_file_that_changes_while_it_is_copied_is_not_kept(
    store: BlobStore, source: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    copy = blobs._copy

    def copy_and_change(descriptor: int, target: Path) -> tuple[str, int]:
        copied = copy(descriptor, target)
        change(source)
        return copied

    monkeypatch.setattr(blobs, "_copy", copy_and_change)
    with pytest.raises(SourceChanged, match="while it was copied"):
        store.snapshot(source)
    assert files(store) == []


def test_a_copy_ends_as_soon_as_its_file_is_rewritten(
    store: BlobStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where epochs are shorter than a copy takes, each save would else have another one made for nothing."""
    write, written = blobs.write_all, 0

    def write_and_rewrite(descriptor: int, data: bytes | bytearray) -> None:
        nonlocal written
        write(descriptor, data)
        written += len(data)
        rewrite(source)

    monkeypatch.setattr(blobs, "_reflink", lambda *_: False)
    monkeypatch.setattr(blobs, "_FLUSH_EVERY", 1)
    monkeypatch.setattr(blobs, "write_all", write_and_rewrite)
    with pytest.raises(SourceChanged, match="while it was copied"):
        store.snapshot(source)
    assert (files(store), written < len(CONTENT)) == ([], True)


@pytest.mark.parametrize("change", [rewrite, append, replace_by_rename])
def test_only_the_file_that_was_meant_is_taken(store: BlobStore, source: Path, change: Callable[[Path], None]) -> None:
    meant = file_stamp(source)
    change(source)
    with pytest.raises(SourceChanged, match="before it was copied"):
        store.snapshot(source, meant)
    assert files(store) == []


# --- the same bytes again, as `best.pt` has those of `last.pt`


@pytest.fixture
def kept(store: BlobStore, source: Path) -> Snapshot:
    """The blob of `source`."""
    snapshot = store.prepare(store.snapshot(source))
    store.publish(snapshot)
    store.discard(snapshot)
    return snapshot


@pytest.fixture
def best(source: Path) -> Path:
    """Another checkpoint with the same bytes."""
    return Path(shutil.copy2(source, source.with_name("best.pt")))


def test_bytes_that_were_just_copied_are_neither_hashed_nor_written_again(
    store: BlobStore, kept: Snapshot, best: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "_copy", None)
    again = store.snapshot(best)
    assert (again.sha256, again.size, again.is_shared) == (kept.sha256, kept.size, kept.is_shared)
    assert again.path.samefile(store.path(kept.sha256))
    store.publish(store.prepare(again))
    store.discard(again)
    assert files(store) == [kept.sha256]


def test_bytes_that_are_the_same_outlive_the_blob_that_they_were_found_in(
    store: BlobStore, kept: Snapshot, best: Path
) -> None:
    again = store.snapshot(best)
    store.remove(kept.sha256)
    store.clear()
    store.publish(store.prepare(again))
    assert store.path(kept.sha256).read_bytes() == CONTENT


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", b"x" + CONTENT[1:], CONTENT[:-1], CONTENT + b"x", b""])
def test_a_file_that_differs_anywhere_is_copied(store: BlobStore, best: Path, content: bytes) -> None:
    best.write_bytes(content)
    snapshot = store.snapshot(best)
    assert snapshot.path.read_bytes() == content
    assert snapshot.sha256 == hashlib.sha256(content).hexdigest()


def test_bytes_whose_blob_is_gone_are_copied(store: BlobStore, kept: Snapshot, best: Path) -> None:
    store.remove(kept.sha256)
    assert store.snapshot(best).path.read_bytes() == CONTENT


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("change", [rewrite, append, replace_by_rename, remove])
def test_a_file_that_changes_while_it_is_compared_is_not_kept(
    store: BlobStore, best: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    compare, before = blobs._is_same, files(store)

    def compare_and_change(descriptor: int, other: Path) -> bool:
        is_same = compare(descriptor, other)
        change(best)
        return is_same

    monkeypatch.setattr(blobs, "_is_same", compare_and_change)
    with pytest.raises(SourceChanged, match="while it was copied"):
        store.snapshot(best)
    assert files(store) == before


# --- what cannot be taken


@pytest.mark.parametrize("make", [lambda path: path.unlink(), lambda path: (path.unlink(), path.mkdir())])
def test_a_file_that_is_gone_is_said(store: BlobStore, source: Path, make: Callable[[Path], object]) -> None:
    make(source)
    with pytest.raises(SourceChanged, match="cannot be read"):
        store.snapshot(source)
    assert files(store) == []


@pytest.fixture
def minute_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a file that was just written is young."""
    monkeypatch.setattr(blobs, "_SETTLED_SECONDS", 60.0)


@pytest.mark.usefixtures("minute_to_settle")
def test_a_file_that_is_written_while_it_settles_is_not_the_one_that_was_meant(store: BlobStore, source: Path) -> None:
    os.utime(source)
    with pytest.raises(SourceChanged):
        store.snapshot(source, file_stamp(source), wait=lambda _: rewrite(source))


@pytest.mark.usefixtures("minute_to_settle")
@pytest.mark.parametrize(("age", "waits"), [(0.0, True), (3600.0, False), (-3600.0, False)])
def test_only_a_very_young_file_is_let_settle(store: BlobStore, source: Path, age: float, waits: bool) -> None:
    waited: list[float] = []
    modified = time.time() - age
    os.utime(source, (modified, modified))
    store.snapshot(source, wait=waited.append)
    assert bool(waited) == waits
    assert all(0 < seconds <= 60 for seconds in waited)


def test_a_full_disk_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "1m") as disk:
        store = BlobStore(disk)
        with pytest.raises(DiskFull, match="free some space"):
            store.snapshot(source)
        assert files(store) == []
        fill(disk)
        with pytest.raises(DiskFull):
            store.snapshot(source)


def test_a_file_system_that_can_shares_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reflink_disk(tmp_path / "disk") as disk:
        source, store = disk / "last.pt", BlobStore(disk)
        source.write_bytes(CONTENT)
        with monkeypatch.context() as no_copy:
            no_copy.setattr(blobs, "_copy_and_hash", None)
            snapshot = store.snapshot(source)
        rewrite(source)
        assert snapshot.path.read_bytes() == CONTENT
        assert snapshot.sha256 == hashlib.sha256(CONTENT).hexdigest()
        store.discard(snapshot)
        source.write_bytes(b"")
        assert store.snapshot(source).size == 0


def test_leftovers_of_killed_processes_are_swept_after_a_day(store: BlobStore, source: Path) -> None:
    snapshot = store.snapshot(source)
    (store.folder / snapshot.sha256).write_bytes(CONTENT)
    written = snapshot.path.stat().st_mtime
    store.sweep(written + 23 * 3600)
    assert snapshot.path.exists()
    store.sweep(written + 25 * 3600)
    assert files(store) == [snapshot.sha256]


def test_a_missing_blob_is_said(store: BlobStore) -> None:
    with pytest.raises(BlobMissing, match="removed or given up"):
        store.path("0" * 64)


# --- keeping and giving up


def present(at: Bench) -> set[str]:
    """Return the blobs that are there, by the folder and by the rows, which agree."""
    stored = {name for name in files(at.journal.blobs) if not name.startswith(".")}
    known = rows(at.journal.path, "SELECT sha256 FROM blobs WHERE state = 'present'")
    assert stored == {sha256 for (sha256,) in known}
    return stored


def test_the_same_bytes_are_stored_once(at: Bench) -> None:
    last, best = at.checkpoint(CONTENT, "last"), at.checkpoint(CONTENT, "best")
    assert last == best
    assert files(at.journal.blobs) == [last]
    assert rows(at.journal.path, "SELECT key, bytes_are FROM events JOIN checkpoints c ON c.role = key") == [
        ("last", "present"),
        ("best", "present"),
    ]


def test_a_stored_blob_that_is_not_whole_is_replaced(at: Bench) -> None:
    sha256 = at.checkpoint(CONTENT, "last")
    path = at.journal.blobs.path(sha256)
    path.write_bytes(CONTENT[:100])
    at.checkpoint(CONTENT, "best")
    assert path.read_bytes() == CONTENT


def test_a_newer_checkpoint_of_the_role_replaces_the_older_ones(at: Bench) -> None:
    for number in range(3):
        newest = at.checkpoint(b"last %d" % number)
    best = at.checkpoint(b"best", "best")
    assert present(at) == {newest, best}


def test_final_checkpoints_stay(at: Bench) -> None:
    finals = {at.checkpoint(b"first", "final"), at.checkpoint(b"second", "final")}
    assert present(at) == finals


def test_bytes_stay_while_another_role_has_them_as_its_newest(at: Bench) -> None:
    shared = at.checkpoint(b"one")
    at.checkpoint(b"one", "best")
    newer = at.checkpoint(b"two")
    assert present(at) == {shared, newer}
    best = at.checkpoint(b"three", "best")
    assert present(at) == {newer, best}


def test_bytes_stay_while_another_run_has_them(at: Bench) -> None:
    run = at.writer.start_run(project=None, name="other", save_dir="/other")
    other = replace(at, run=run, session_id=at.writer.start_session(run.id))
    shared = at.checkpoint(b"the same start")
    other.checkpoint(b"the same start")
    newer = at.checkpoint(b"gone on")
    assert present(at) == {shared, newer}
    final = other.checkpoint(b"the same start", "final")
    assert final == shared
    at.checkpoint(b"gone on further")
    other.checkpoint(b"elsewhere")
    assert shared in present(at)


@pytest.mark.parametrize(("result", "needed"), [(None, True), ("retry", True), ("delivered", False), ("dead", False)])
def test_bytes_stay_while_a_delivery_of_them_is_open(at: Bench, result: Any, needed: bool) -> None:
    at.register()
    old = at.checkpoint(b"one")
    at.plan(at.upload(old))
    if result:
        (claim,) = at.claim("upload", upload_spacing_seconds=0)
        at.record(Outcome(claim, result, error="x"))
    at.checkpoint(b"two")
    assert (old in present(at)) == needed


def test_bytes_that_come_back_are_there_again(at: Bench) -> None:
    first = at.checkpoint(b"one")
    at.checkpoint(b"two")
    assert at.checkpoint(b"one") == first
    assert present(at) == {first}


def test_what_cannot_be_given_up_now_does_not_fail_the_checkpoint(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("immutable")

    old = at.checkpoint(b"one")
    with monkeypatch.context() as stuck:
        stuck.setattr(at.journal.blobs, "remove", refuse)
        middle = at.checkpoint(b"two")
    assert present(at) == {old, middle}
    newest = at.checkpoint(b"three")
    assert present(at) == {newest}
