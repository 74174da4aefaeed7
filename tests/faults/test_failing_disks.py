"""Disks that fill up, fail, turn read-only or vanish under a training: it goes on, and nothing is missing."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from soaks import failures
from soaks.ledger import total
from soaks.processes import Child
from soaks.traces import why_no_strace
from soaks.volumes import LoopVolume, loop_volume, why_no_volume
from support.damage import contents, overwrite
from support.disks import fill, make_read_only, make_writable, small_disk
from support.journals import bench, python, rows
from support.passthrough import network_mount, without_shared_memory

import journal
from journal.checkpoints.blobs import file_stamp
from journal.doctor import examine
from journal.errors import DiskFull, JournalUnwritable
from journal.storage.database import _shares_memory
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.journal_connection import RETRY_SECONDS
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.recording.session_writer import SessionWriter, new_run

NO_STRACE = why_no_strace()
RUN_ID = "5f0c5a1e-0000-4000-8000-000000000001"


class Clock:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fallback files go: a folder on another disk."""
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    return tmp_path / "fallback"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def writer_on(folder: Path, clock: Callable[[], float]) -> SessionWriter:
    run = new_run(RUN_ID, project="demo", name="run", save_dir=folder.parent)
    return SessionWriter(JournalOptions(journal=str(folder)), run, clock)


def write(session: SessionWriter, numbers: range, size: int = 200) -> None:
    for number in numbers:
        session.event("epoch_end", {"epoch": number, "text": "x" * size}, str(number))


def arrived(folder: Path, beside: Path) -> list[int]:
    """Take the fallback files in, and return the epochs that the journal holds."""
    with journal.open(folder) as opened:
        opened.fallbacks.ingest([beside])
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    return sorted(int(key) for (key,) in rows(folder, "SELECT key FROM events WHERE kind = 'epoch_end'"))


@pytest.mark.skipif(NO_STRACE is not None, reason=str(NO_STRACE))
def test_one_failing_system_call_costs_no_event(tmp_path: Path) -> None:
    tally = total(failures.run(tmp_path, limit=2))
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds >= len(failures.FAILURES)


def test_events_that_find_the_disk_full_arrive_when_there_is_space_again(
    tmp_path: Path, beside: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        session = writer_on(disk / "journal", clock)
        write(session, range(10))
        ballast = fill(disk)
        write(session, range(10, 40))
        assert list(beside.iterdir())
        assert [record.levelno for record in caplog.records] == [logging.WARNING]  # said once
        ballast.unlink()
        clock.seconds += RETRY_SECONDS
        write(session, range(40, 50))
        session.close("complete")
        assert rows(disk / "journal", "SELECT count(*) FROM events") >= [(20,)]
        assert arrived(disk / "journal", beside) == list(range(50))


@pytest.mark.parametrize("size", ["40k", "64k", "100k", "160k", "200k", "240k"])
def test_a_journal_that_finds_no_space_to_begin_says_so(tmp_path: Path, size: str) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        with pytest.raises(DiskFull, match="no space left"):
            journal.open(disk / "journal")
        fill(disk)
        assert (disk / "journal" / "blobs").is_dir()


def test_a_checkpoint_that_finds_the_disk_full_is_taken_later(
    tmp_path: Path, beside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"w" * 3_000_000)
    with small_disk(tmp_path / "disk", "4m") as disk:
        options = JournalOptions(journal=str(disk / "journal"))
        recorder = Recorder.start(options, project=None, name="run", save_dir=tmp_path, resume=False)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(2_000_000))
        recorder.checkpoint(weights, role="final", epoch=3, publish=True, is_best=True)
        assert recorder.wait_for_snapshots()
        recorder.event("epoch_end", {"epoch": 3}, "3")
        recorder.finish("complete")
        assert "was not snapshotted" in caplog.text
        assert list((disk / "journal" / "blobs").iterdir()) == []
        ballast.unlink()
        with journal.open(disk / "journal") as opened:
            assert opened.salvage() == 1
        assert arrived(disk / "journal", beside) == [3]
        assert rows(disk / "journal", "SELECT key FROM events WHERE kind = 'checkpoint'") == [("final",)]


def test_a_disk_that_is_read_only_from_the_start_costs_no_event(tmp_path: Path, beside: Path, clock: Clock) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        journal.open(disk / "journal").close()
        make_read_only(disk)
        with pytest.raises(JournalUnwritable):
            journal.open(disk / "journal")
        session = writer_on(disk / "journal", clock)
        write(session, range(5))
        make_writable(disk)
        clock.seconds += RETRY_SECONDS
        write(session, range(5, 10))
        session.close("complete")
        assert arrived(disk / "journal", beside) == list(range(10))


@pytest.fixture
def volume() -> Iterator[LoopVolume]:
    if reason := why_no_volume("ext4"):
        pytest.skip(reason)
    with loop_volume("ext4") as volume:
        volume.mount()
        yield volume


@pytest.mark.parametrize("harm", [LoopVolume.abort, LoopVolume.cut_power], ids=["turns read-only", "vanishes"])
def test_a_disk_that_fails_under_a_training_costs_no_event(
    volume: LoopVolume, harm: Callable[[LoopVolume], None], beside: Path
) -> None:
    def training(_: object) -> None:
        clock = Clock()
        session = writer_on(volume.root / "journal", clock)
        write(session, range(20))
        harm(volume)
        for number in range(20, 40):
            clock.seconds += RETRY_SECONDS  # the journal is tried again and again
            write(session, range(number, number + 1))
        source = beside.parent / "last.pt"
        source.write_bytes(b"weights")
        with pytest.raises((journal.JournalError, OSError)):
            session.add_checkpoint(CheckpointFile(source, "last", 0, True, False, file_stamp(source) or (0, 0, 0)))
        session.close("complete")

    child = Child(training)
    child.reap()
    assert (child.failure, child.was_killed) == (None, False)
    volume.unmount()
    volume.mount()
    assert arrived(volume.root / "journal", beside) == list(range(40))
    volume.unmount()


def test_a_process_that_can_open_no_more_files_goes_on(tmp_path: Path, beside: Path) -> None:
    """Neither journal nor fallback file can be: an error says so. Nor can anything be imported then."""
    code = """
import resource, sys
from pathlib import Path
from uploader.recording.journal_connection import RETRY_SECONDS
from uploader.recording.journal_options import JournalOptions
from uploader.recording.session_writer import SessionWriter, new_run
seconds = 0.0
usual = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, usual[1]))
run = new_run(sys.argv[2], project=None, name="run", save_dir=Path("/train"))
session = SessionWriter(JournalOptions(journal=sys.argv[1]), run, lambda: seconds)
session.event("epoch_end", {}, "0")
resource.setrlimit(resource.RLIMIT_NOFILE, usual)
session.event("epoch_end", {}, "1")
seconds = RETRY_SECONDS
session.event("epoch_end", {}, "2")
session.close("complete")
"""
    said = python(code, tmp_path / "journal", RUN_ID, stderr=subprocess.PIPE)
    assert "An event (epoch_end) could be written nowhere and is lost" in said.communicate()[1]
    assert said.returncode == 0
    assert arrived(tmp_path / "journal", beside) == [1, 2]


def test_a_journal_that_is_locked_for_too_long_costs_no_event(
    tmp_path: Path, beside: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.recording.journal_connection.BUSY_SECONDS", 0.05)
    folder = tmp_path / "journal"
    with bench(folder) as at:
        session = writer_on(folder, clock)
        write(session, range(5))
        with at.journal._backend.engine.begin():  # holds the write lock
            write(session, range(5, 10))
        clock.seconds += RETRY_SECONDS
        write(session, range(10, 15))
        session.close("complete")
    assert arrived(folder, beside) == list(range(15))


@pytest.mark.parametrize("page", [0, 1, 8, 12, 22, 30])
def test_a_damaged_journal_is_left_alone_and_costs_no_event(
    tmp_path: Path, beside: Path, clock: Clock, page: int
) -> None:
    folder = tmp_path / "journal"
    with bench(folder) as at:
        for _ in range(50):
            at.event()
    damage = b"\xa5" * 4096
    overwrite(folder / "journal.db", page * 4096, damage)
    before = contents(folder)
    session = writer_on(folder, clock)
    write(session, range(5))
    session.close("complete")
    assert (folder / "journal.db").read_bytes()[page * 4096 :][:4096] == damage
    unharmed = contents(folder) != before  # a page that appending has no need of
    assert unharmed or list(beside.iterdir())


def test_a_log_that_was_deleted_takes_what_it_held_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    child = os.fork()
    if child == 0:  # ends without closing, so that the log is not folded
        with bench(folder) as at:
            at.event(key="folded")
            at.outbox.fold_wal()
            at.event(key="in the log")
            os._exit(0)
    os.waitpid(child, 0)
    for name in ("journal.db-wal", "journal.db-shm"):
        (folder / name).unlink()
    with bench(folder) as at:
        at.event(key="later")
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    assert [key for (key,) in rows(folder, "SELECT key FROM events ORDER BY id")] == ["folded", "later"]


def test_a_file_system_without_shared_memory_carries_a_journal(tmp_path: Path) -> None:
    with without_shared_memory(tmp_path) as disk:
        for number in range(2):
            with bench(disk / "journal", run_id=RUN_ID) as at:
                at.event(key=str(number))
                at.checkpoint(b"weights", role="final")
                assert at.journal.blobs.path(hashlib.sha256(b"weights").hexdigest()).read_bytes() == b"weights"
        with closing(sqlite3.connect(disk / "journal" / "journal.db")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal"
            assert connection.execute("SELECT count(*) FROM events").fetchone() == (4,)
        examination = examine(disk / "journal", fallback_folders=[])
        assert {finding.code for finding in examination.findings} == {"no-write-ahead-log", "network-disk"}
        assert examination.healthy


def test_a_network_file_system_carries_a_journal_without_a_log_that_only_one_machine_sees(tmp_path: Path) -> None:
    with network_mount(tmp_path) as disk:
        assert _shares_memory(disk)
        with bench(disk / "journal") as at:
            at.event()
        with closing(sqlite3.connect(disk / "journal" / "journal.db")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
        examination = examine(disk / "journal", fallback_folders=[])
        assert {finding.code for finding in examination.findings} == {"no-write-ahead-log", "network-disk"}
        assert examination.healthy


def test_a_journal_that_has_a_log_on_a_network_gives_it_up_when_nobody_uses_it(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.event(key="in the database")
    with network_mount(tmp_path) as disk:
        database = disk / "journal" / "journal.db"
        shutil.copytree(tmp_path / "journal", disk / "journal")
        with closing(sqlite3.connect(database)) as user:
            assert user.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            user.execute("SELECT count(*) FROM events").fetchone()
            with bench(disk / "journal") as at:
                at.event(key="in the log")
            assert user.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with bench(disk / "journal") as at:
            at.event(key="after it")
        assert not database.with_name("journal.db-wal").exists()
        with closing(sqlite3.connect(database)) as user:
            assert user.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            keys = user.execute("SELECT key FROM events ORDER BY id").fetchall()
        assert [key for (key,) in keys] == ["in the database", "in the log", "after it"]
        assert examine(disk / "journal", fallback_folders=[]).healthy


def test_a_journal_that_was_moved_to_one_says_what_is_wrong(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.event()
    with without_shared_memory(tmp_path) as disk:
        shutil.copytree(tmp_path / "journal", disk / "journal")
        with pytest.raises(JournalUnwritable, match="local disk"):
            journal.open(disk / "journal")
        assert "network-disk" in {one.code for one in examine(disk / "journal", fallback_folders=[]).findings}
