"""Folders on real mounts, and a journal for a home that cannot be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.disks import make_read_only, small_disk
from support.passthrough import without_shared_memory

import journal
from journal.locations import choose_journal, default_journal, earlier_journal, makeshift_journal, surroundings
from journal.surroundings.machines import Outlasts
from journal.surroundings.mounts import Nature, mount_of, read_mounts


@contextmanager
def read_only_home(folder: Path) -> Iterator[Path]:
    with small_disk(folder) as home:
        make_read_only(home)
        yield home


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder that is none of the folders that are looked at."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_memory_is_told_from_a_disk_through_links_and_odd_names(tmp_path: Path) -> None:
    with small_disk(tmp_path / "a b\tc") as disk:
        (tmp_path / "link").symlink_to(disk)
        found = surroundings({}).place(tmp_path / "link" / "journal")
        assert (found.outlasts, found.file_system, found.is_read_only) == (Outlasts.PROCESS, "tmpfs", False)
        assert surroundings({}).place(tmp_path).file_system != "tmpfs"


def test_a_part_of_a_disk_that_is_mounted_read_only_is_seen_to_be(tmp_path: Path) -> None:
    (tmp_path / "disk" / "part").mkdir(parents=True)
    with small_disk(tmp_path / "seen"):
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            subprocess.run(["mount", *options, str(tmp_path / "disk" / "part"), str(tmp_path / "seen")], check=True)
        try:
            assert surroundings({}).place(tmp_path / "seen").is_read_only
            assert not surroundings({}).place(tmp_path / "disk" / "part").is_read_only
        finally:
            subprocess.run(["umount", str(tmp_path / "seen")], check=True)


def test_a_file_system_in_user_space_is_not_said_to_outlast_a_machine(tmp_path: Path) -> None:
    with without_shared_memory(tmp_path) as disk:
        mount = mount_of(disk.resolve(), read_mounts())
        assert mount is not None
        assert (mount.nature, mount.is_remote) == (Nature.USER_SPACE, True)
        assert surroundings({}).place(disk).outlasts < Outlasts.MACHINE


def test_a_home_that_cannot_be_written_has_its_journal_elsewhere(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with read_only_home(tmp_path / "home") as home:
        monkeypatch.setenv("HOME", str(home))
        chosen = choose_journal({})
        assert chosen.is_makeshift
        assert chosen.folder == temporary / f"offline-uploader-{os.getuid()}" / "journal"
        assert str(home) in chosen.why
        assert default_journal({"UPLOADER_JOURNAL": "/mine"}) == Path("/mine")


def test_a_journal_that_is_in_a_home_stays_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may be read-only for a while, and what is in its journal must be found."""
    with small_disk(tmp_path / "home") as home:
        monkeypatch.setenv("HOME", str(home))
        before = default_journal({})
        before.mkdir(parents=True)
        make_read_only(home)
        assert default_journal({}) == before


def test_a_full_home_stays_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "home", size="64k,nr_inodes=8") as home:
        monkeypatch.setenv("HOME", str(home))
        for number in range(20):
            try:
                (home / str(number)).touch()
            except OSError:
                break
        assert default_journal({}).is_relative_to(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_a_journal_that_somebody_else_planted_is_not_named(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    planted = makeshift_journal()
    journal.open(planted).close()
    assert earlier_journal(default_journal({})) == planted
    os.chown(planted, 1, 1)
    assert earlier_journal(default_journal({})) is None
