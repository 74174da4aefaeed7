"""Folders that a mirror may be in: network mounts, drives that know no rename, disks that fill up."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support.disks import fill, small_disk
from support.journals import Bench
from support.mirrors import export
from support.passthrough import without_shared_memory

import journal
from journal.errors import MirrorUnavailable
from journal.mirror.checking import check
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore


def restored(store: FolderStore, folder: Path) -> dict[str, list[object]]:
    with journal.open(folder) as opened:
        assert restore(opened, store).damaged == []
    return export(folder)


def test_a_mount_without_locks_and_shared_memory(training: Bench, tmp_path: Path) -> None:
    with without_shared_memory(tmp_path / "mount") as mount:
        store = FolderStore(mount / "mirror")
        assert not store.confirms  # it answers before anything is sent
        training.event()
        training.checkpoint(b"weights")
        mirroring = Mirroring(training.journal, store)
        mirroring.step(is_last=True)
        assert "2 events and 1 checkpoint handed over to" in mirroring.state(training.run.id).in_words
        assert restored(store, tmp_path / "new") == export(training.journal.path)


def test_a_mount_that_knows_no_rename(
    training: Bench, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(Path, "replace", refuse)
    training.event()
    Mirroring(training.journal, store).step()
    monkeypatch.undo()
    assert [path.name for path in store.folder.rglob(".tmp-*")] == []
    assert restored(store, tmp_path / "new") == export(training.journal.path)


def test_a_drive_that_fills_up_keeps_what_it_has_and_goes_on_when_it_has_space(training: Bench, tmp_path: Path) -> None:
    with small_disk(tmp_path / "drive", "400k") as drive:
        store = FolderStore(drive / "mirror")
        mirroring = Mirroring(training.journal, store)
        training.event()
        mirroring.step()
        ballast = fill(drive)
        training.event(payload={"text": "x" * 9_000})
        training.checkpoint(bytes(50_000))
        with pytest.raises(MirrorUnavailable, match="No space left"):
            mirroring.step()
        assert (check(store).events, check(store).damaged) == (1, [])
        ballast.unlink()
        mirroring.step()
        assert [path.name for path in drive.rglob(".tmp-*")] == []
        assert restored(store, tmp_path / "new") == export(training.journal.path)


def test_a_link_that_leads_to_itself_is_named(training: Bench, store: FolderStore) -> None:
    training.event()
    Mirroring(training.journal, store).step()
    loop = store.folder / "runs" / "loop"
    loop.symlink_to(loop)
    with pytest.raises(MirrorUnavailable, match=rf"cannot be read \(.*: {loop}\)"):
        list(store.list())


def test_nothing_is_made_where_drive_is_to_be_mounted(training: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drive cannot be mounted over files, and what is made there is lost with the session."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    training.event()
    there = Path("/content/drive").exists()
    with pytest.raises(MirrorUnavailable, match=r"first run `drive\.mount\('/content/drive'\)`"):
        Mirroring(training.journal, FolderStore(Path("/content/drive/MyDrive/mirror"))).step()
    assert Path("/content/drive").exists() == there
