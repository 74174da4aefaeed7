"""Group commit: who waits for which flush, and that one always follows."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.clocks import Clock
from support.journals import until
from support.slow_disks import SlowDisk, SlowFile

from journal.storage import background_sync, flusher
from journal.storage.background_sync import BackgroundSync, Synced
from journal.storage.flusher import Flusher, Written


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    """A disk that hangs as long as a test likes; a machine that stops meanwhile has no flush begun again."""
    slow = SlowDisk()
    monkeypatch.setattr(flusher, "background_sync", slow)
    monkeypatch.setattr(flusher, "_SLICE_SECONDS", 60.0)
    return slow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(b"something")
    return path


def waiting(written: Written) -> threading.Thread:
    thread = threading.Thread(target=written.wait, daemon=True)
    thread.start()
    return thread


def test_writes_that_come_during_a_flush_share_the_next_one(disk: SlowDisk, log: Path) -> None:
    written = Flusher(log)
    threads = [waiting(written.note())]
    disk.wait_for_flushes(1)
    threads += [waiting(written.note()) for _ in range(3)]
    disk.end()
    disk.wait_for_flushes(2)
    disk.end()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert disk.begun == [1, 4]
    assert written.flushed == 4


def test_a_write_that_nobody_waits_for_any_longer_is_flushed(disk: SlowDisk, log: Path) -> None:
    first, second = (one := Flusher(log)).note(), one.note()
    assert not first.wait(0)
    disk.wait_for_flushes(1)
    disk.recover()
    assert second.wait()
    assert one.flushed == 2


def test_one_thread_waits_for_all_that_nobody_waits_for_until_the_file_is_closed(disk: SlowDisk, log: Path) -> None:
    one, threads = Flusher(log), list[threading.Thread | None]()
    for _ in range(2):
        assert not one.note().wait(0)
        threads.append(one._thread)
        disk.wait_for_flushes(len(threads))
        disk.end()
        until(lambda: one.flushed == one.written)
    one.close()
    assert threads[0] is not None
    threads[0].join(60)
    assert not threads[0].is_alive()
    assert threads[1] is threads[0]


def test_what_is_written_after_a_flush_began_waits_for_another_one(disk: SlowDisk, log: Path) -> None:
    one = Flusher(log)
    first = waiting(one.note())
    disk.wait_for_flushes(1)
    second = one.note()
    disk.end()
    first.join(60)
    assert not second.is_durable
    disk.recover()
    assert second.wait()
    assert disk.begun[-1] == 2


def test_the_begin_of_a_flush_counts_as_a_part_of_the_wait_for_it(
    disk: SlowDisk, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it may take milliseconds, as may another thread's turn."""
    clock, waits, begin, ended = Clock(), list[float](), SlowFile.begin, SlowFile.ended

    def begin_late(file: SlowFile, number: int) -> None:
        clock.now += 2.0
        begin(file, number)

    def note(file: SlowFile, seconds: float) -> list[Synced]:
        waits.append(seconds)
        clock.now += seconds
        return ended(file, 0)

    monkeypatch.setattr(flusher, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(SlowFile, "begin", begin_late)
    monkeypatch.setattr(SlowFile, "ended", note)
    monkeypatch.setattr(Flusher, "_see_to_the_rest", lambda self: None)
    assert not Flusher(log).note().wait(60.0)
    assert waits == [58.0]


def test_a_failed_flush_is_never_forgotten(disk: SlowDisk, log: Path) -> None:
    first = (one := Flusher(log)).note()
    assert not first.wait(0)
    disk.wait_for_flushes(1)
    disk.end(fails=True)
    with pytest.raises(OSError, match="Input/output"):
        first.wait()
    disk.recover()
    with pytest.raises(OSError, match="Input/output"):
        one.note().wait()
    assert one.flushed == 0


@pytest.mark.parametrize("failures", [(True, False), (False, True)])
def test_a_success_that_is_reported_with_a_failure_counts_for_nothing(
    disk: SlowDisk, log: Path, failures: tuple[bool, bool]
) -> None:
    first = (one := Flusher(log)).note()
    assert isinstance(one._sync, SlowFile)
    one._sync.synced += [Synced(1, OSError(5, "Input/output error") if fails else None) for fails in failures]
    with pytest.raises(OSError, match="Input/output"):
        first.wait()
    assert one.flushed == 0


def test_a_flush_that_cannot_be_begun_has_failed(disk: SlowDisk, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: SlowFile, number: int) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(disk, "note", refuse)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Flusher(log).note().wait()


def test_a_flush_whose_end_was_not_seen_is_begun_again(
    disk: SlowDisk, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a signal handler raised at that moment."""
    monkeypatch.setattr(flusher, "_SLICE_SECONDS", 0.01)
    thread = waiting(Flusher(log).note())
    disk.wait_for_flushes(3)
    disk.end()
    thread.join(60)
    assert not thread.is_alive()


def test_a_disk_that_hangs_is_not_flooded(disk: SlowDisk, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "_SLICE_SECONDS", 0.001)
    one = Flusher(log)
    for _ in range(100):
        assert not one.note().wait(0.002)
    assert len(disk.begun) <= flusher._UNANSWERED
    disk.recover()
    assert one.note().wait()


def test_a_turn_that_nobody_uses_is_taken_over(disk: SlowDisk, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a signal handler raised before it was given back, or waits in the thread that has it."""
    monkeypatch.setattr(flusher, "_SLICE_SECONDS", 0.01)
    monkeypatch.setattr(flusher, "_STALE_SECONDS", 0.0)
    one = Flusher(log)
    one._turn.acquire()
    disk.recover()
    assert one.note().wait()


@pytest.mark.parametrize("is_late", [False, True])
def test_it_closes_its_file_once_all_is_flushed(disk: SlowDisk, log: Path, is_late: bool) -> None:
    one = Flusher(log)
    number = one._descriptor
    if is_late:
        written = one.note()
        one.close()
        disk.wait_for_flushes(1)
        assert os.path.samestat(os.fstat(number), log.stat())
        disk.end()
        assert one._thread is not None
        one._thread.join(60)
        assert written.is_durable
    else:
        one.close()
        one.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


@pytest.fixture(params=["kernel", "thread"])
def sync(request: pytest.FixtureRequest, log: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackgroundSync]:
    if request.param == "thread":
        monkeypatch.setattr(background_sync, "_CALLS", {})
    descriptor = os.open(log, os.O_RDONLY)
    yield background_sync.background_sync(descriptor)
    os.close(descriptor)


def ends(sync: BackgroundSync, count: int) -> list[Synced]:
    found: list[Synced] = []
    while len(found) < count:
        found += sync.ended(60)
    return found


def test_a_real_flush_ends_with_its_number(sync: BackgroundSync) -> None:
    for number in (7, 8):
        sync.begin(number)
    assert sorted(synced.number for synced in ends(sync, 2)) == [7, 8]
    assert sync.ended(0) == []
    sync.close()


def test_both_kinds_are_tried_here(sync: BackgroundSync, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["sync"]
    if name == "kernel" and type(sync).__name__ != "_Kernel":
        pytest.skip("this system has no io_submit for flushes")
    assert type(sync).__name__ == f"_{name.capitalize()}"
    sync.close()


def test_what_cannot_be_flushed_fails_in_both_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    sync = background_sync.background_sync(reading)  # a pipe, of which Linux refuses it at once
    assert type(sync).__name__ == "_Thread"
    sync.begin(1)
    assert ends(sync, 1)[0].error is not None
    sync.close()
    os.close(reading)
    os.close(writing)


@pytest.fixture
def asked(log: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[BackgroundSync, list[None]]]:
    """The kernel's requests, whose end is never seen at once, and how often the processor was left to others."""
    descriptor = os.open(log, os.O_RDONLY)
    sync, yields = background_sync.background_sync(descriptor), list[None]()
    if not isinstance(sync, background_sync._Kernel):
        pytest.skip("this system has no io_submit for flushes")
    ended = sync._ended_within
    monkeypatch.setattr(sync, "_ended_within", lambda seconds: ended(seconds) if seconds else [])
    monkeypatch.setattr(os, "sched_yield", lambda: yields.append(None))
    monkeypatch.setattr(background_sync, "_FLUSHES_ASLEEP", 3)
    yield sync, yields
    sync.close()
    os.close(descriptor)


def flushed(sync: BackgroundSync, count: int) -> None:
    for number in range(count):
        sync.begin(number)
        ends(sync, 1)


@pytest.mark.parametrize("crowded_seconds", [-1.0, math.inf])
def test_flushes_are_waited_for_asleep_for_a_while_after_asking_was_in_vain(
    asked: tuple[BackgroundSync, list[None]], monkeypatch: pytest.MonkeyPatch, crowded_seconds: float
) -> None:
    sync, yields = asked
    monkeypatch.setattr(background_sync, "_CROWDED_SECONDS", crowded_seconds)
    flushed(sync, 1)
    first = len(yields)
    assert first == 1 if crowded_seconds < 0 else first >= 1
    flushed(sync, 3)
    assert len(yields) == first
    flushed(sync, 1)
    assert len(yields) > first


def test_a_look_at_what_has_ended_tells_nothing_of_the_machine(asked: tuple[BackgroundSync, list[None]]) -> None:
    sync, yields = asked
    assert sync.ended(0) == []
    assert not yields
    flushed(sync, 1)
    assert yields


def test_a_forked_child_does_not_use_its_parents_requests(log: Path) -> None:
    Flusher(log).close()  # one context that nobody uses now
    child = os.fork()
    if child == 0:
        os._exit(0 if not background_sync._contexts and Flusher(log).note().wait(60) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_many_threads_wait_for_real_flushes(log: Path) -> None:
    one, lock, file = Flusher(log), threading.Lock(), os.open(log, os.O_WRONLY)

    def write() -> None:
        for _ in range(50):
            with lock:
                os.pwrite(file, b"x" * 100, 0)
                written = one.note()
            assert written.wait(math.inf)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    os.close(file)
    assert one.flushed == one.written == 200
