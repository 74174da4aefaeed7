"""The threads of a drain: so many at once, and so many a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest
from support.threads import left_threads

from uploader.delivery.worker_pool import Gate, WorkerPool


class Work:
    """Jobs that end when they are told to."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[int] = SimpleQueue()
        self.results: SimpleQueue[int] = SimpleQueue()
        self._may_end = threading.Semaphore(0)

    def do(self, job: int) -> int:
        self.begun.put(job)
        assert self._may_end.acquire(timeout=60)
        return job

    def end(self, jobs: int = 1) -> None:
        """Let so many jobs end."""
        for _ in range(jobs):
            self._may_end.release()

    def begins(self, jobs: int) -> set[int]:
        """Wait for so many jobs to begin."""
        return {self.begun.get(timeout=60) for _ in range(jobs)}


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def pool(work: Work) -> Iterator[WorkerPool[int, int]]:
    made = WorkerPool("test", 2, work.do, work.results)
    yield made
    work.end(100)
    made.join(60)


def test_as_many_are_done_at_once_as_it_was_told_last(pool: WorkerPool[int, int], work: Work) -> None:
    for job in range(20):
        pool.submit(job)
    assert len(work.begins(2)) == 2
    pool.resize(5)
    assert len(work.begins(3)) == 3
    pool.resize(1)
    work.end(5)
    ended = {work.results.get(timeout=60) for _ in range(5)}
    assert len(work.begins(1)) == 1
    with pytest.raises(Empty):
        work.begun.get_nowait()
    assert len(ended) == 5


def test_what_no_thread_has_begun_can_be_withdrawn_while_threads_wait_for_their_turn(
    pool: WorkerPool[int, int], work: Work
) -> None:
    for job in range(10):
        pool.submit(job)
    assert work.begins(2) == {0, 1}
    pool.resize(1)
    work.end(2)
    assert work.begins(1) == {2}
    assert pool.withdraw() == list(range(3, 10))


def test_threads_that_wait_for_their_turn_end_with_the_pool(work: Work) -> None:
    pool = WorkerPool("test", 8, work.do, work.results)
    pool.resize(1, rate=0.001)
    pool.join(60)
    assert left_threads("test-") == []


def test_a_rate_spreads_the_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    gate = Gate(10)
    gate.set(10, rate=2.0)
    monkeypatch.setattr("uploader.delivery.worker_pool.time.monotonic", lambda: now[0])
    waits = []
    for _ in range(4):
        if wait := gate._wait():
            waits.append(wait)
            now[0] += wait
        gate.enter()
    assert waits == [0.5, 0.5, 0.5]
