"""What surrounds a journal: full disks, files of other users, files that cannot be deleted, strange host names."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.disks import fill, small_disk
from support.journals import ROOT, Bench, bench, rows

import journal
from journal import disk
from journal.checkpoints.blobs import STALE_SECONDS
from journal.clock import utc_now
from journal.doctor import examine
from journal.errors import DiskFull, JournalUnwritable, from_os, from_sqlite
from journal.opening import open_with_room
from journal.records import Outcome
from journal.sessions import liveness

OTHER = 4242
"""A user who is neither root nor this one."""


def arrived(run: Bench, content: bytes) -> str:
    """Record a final checkpoint, and deliver all there is."""
    run.register()
    sha256 = run.checkpoint(content, "final")
    run.plan(run.upload(sha256, "final", stage=2))
    (claim,) = run.claim("upload")
    run.record(Outcome(claim, "delivered"))
    return sha256


def test_on_a_full_disk_what_has_arrived_makes_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as full:
        with bench(full / "journal") as run:
            gone = arrived(run, os.urandom(500_000))
            kept = run.checkpoint(os.urandom(100_000), "last")
        fill(full)
        with pytest.raises(DiskFull, match="no space left"):
            journal.open(full / "journal").writer().start_session(run.run.id)
        with open_with_room(full / "journal") as opened:
            assert opened.blobs.names() == [kept]
            assert rows(opened.path, "SELECT sha256 FROM blobs WHERE state = 'removed'") == [(gone,)]
            opened.prune(utc_now())
        assert not [finding.code for finding in examine(full / "journal").findings if finding.code == "blob-damaged"]


def test_what_has_not_arrived_never_makes_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as full:
        with bench(full / "journal") as run:
            kept = run.checkpoint(os.urandom(500_000), "final")
        fill(full)
        with pytest.raises(DiskFull, match="no space left"), open_with_room(full / "journal") as opened:
            opened.prune(utc_now())
        assert (full / "journal" / "blobs" / kept).is_file()


def test_nothing_goes_where_there_is_room(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as run:
        sha256 = arrived(run, b"weights")
    with open_with_room(tmp_path / "journal") as opened:
        assert opened.blobs.names() == [sha256]


def test_a_disk_without_inodes_is_called_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as full:
        subprocess.run(["mount", "-o", "remount,nr_inodes=3", str(full)], check=True)
        for name in ("a", "b"):
            (full / name).touch()
        assert "inodes" in str(disk.why_full(full))


def test_a_used_up_quota_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used_up = OSError(errno.EDQUOT, "Disk quota exceeded")

    def refused(_: int) -> None:
        raise used_up

    monkeypatch.setattr("os.fsync", refused)  # no file system with quotas is to be had everywhere
    to_sqlite = sqlite3.OperationalError("disk I/O error")
    for error in (from_os(used_up, tmp_path / "journal.db"), from_sqlite(to_sqlite, tmp_path / "journal.db")):
        assert isinstance(error, DiskFull)
        assert "quota" in str(error)


def test_a_file_that_cannot_be_deleted_stops_nothing(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    at.checkpoint(b"first")

    def busy(path: Path, missing_ok: bool = False) -> None:
        raise OSError(16, "Device or resource busy", str(path))

    with monkeypatch.context() as held:
        held.setattr(Path, "unlink", busy)
        at.checkpoint(b"second")  # replaces the first
        at.journal.prune(utc_now())
        at.journal.salvage()
    assert list(at.journal.blobs.folder.glob(".removed-*"))
    at.journal.salvage()
    assert not list(at.journal.blobs.folder.glob(".removed-*"))


def test_bytes_that_cannot_be_moved_away_go_later(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = at.checkpoint(b"first")

    def busy(path: Path, target: Path) -> None:
        raise OSError(16, "Device or resource busy", str(path), None, str(target))

    with monkeypatch.context() as held:
        held.setattr(Path, "rename", busy)
        at.checkpoint(b"second")
    assert sha256 in at.journal.blobs.names()
    at.journal.salvage()
    assert sha256 not in at.journal.blobs.names()


def test_an_unfinished_copy_that_cannot_be_deleted_stops_nothing(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = at.journal.blobs.folder / ".tmp-1-x"
    leftover.touch()
    os.utime(leftover, (0, 0))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError(1, "no")))
    at.journal.blobs.sweep(STALE_SECONDS * 10)
    assert leftover.exists()


def test_a_host_name_that_is_no_text_is_written_out(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "b\udcfcro")
    session = at.writer.start_session(at.run.id)
    (host,) = rows(at.journal.path, "SELECT host FROM sessions WHERE id = ?", session)[0]
    assert host == liveness.host_name()
    assert host.startswith("b")
    assert at.run.id in at.outbox.live_runs(utc_now())


# --- files of other users


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_root_makes_in_a_users_journal_is_the_users(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    os.chown(folder, OTHER, OTHER)
    with bench(folder) as run:
        run.checkpoint(b"weights")
        owners = {path.stat().st_uid for path in (folder, *folder.rglob("*"))}
    assert owners == {OTHER}


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_another_users_file_is_named_with_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "drain.lock"
    file.touch()
    os.chown(file, OTHER, OTHER)
    error = from_os(PermissionError(13, "Permission denied"), file)
    assert isinstance(error, JournalUnwritable)
    assert f"belongs to user {OTHER}" in str(error)
    assert "chown" in str(error)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as run:
        sha256 = run.checkpoint(b"weights", "final")
    os.chown(tmp_path / "journal" / "blobs" / sha256, OTHER, OTHER)
    code = (
        "import sys, pathlib; from journal.doctor import examine\n"
        "print(*[finding.code for finding in examine(pathlib.Path(sys.argv[1])).findings])"
    )
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code, str(tmp_path / "journal")]
    looked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "unshare" in looked.stderr:
        pytest.skip(looked.stderr)
    assert "blob-unreadable" in looked.stdout.split()
    assert "blob-damaged" not in looked.stdout.split()
