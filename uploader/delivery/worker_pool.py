"""The worker threads of a drain. They do HTTP and read blobs, and touch neither the journal nor each other."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerPool(Generic[Job, Result]):
    """Threads that take jobs in order and put the result of each into a queue."""

    def __init__(self, name: str, size: int, work: Callable[[Job], Result], results: SimpleQueue[Result]) -> None:
        """Start the threads.

        Args:
            name: For the threads' names.
            size: How many jobs at once, until `resize`.
            work: Does a job; never raises.
            results: Where to put what it returns.
        """
        self._name = name
        self._work = work
        self._results = results
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._gate = Gate(size)
        self._threads: list[threading.Thread] = []
        self._start(size)

    def resize(self, size: int, rate: float = math.inf) -> None:
        """Do so many jobs at once from now on, and begin so many a second; jobs that were begun are not interrupted."""
        self._gate.set(size, rate)
        self._start(size)

    def _start(self, size: int) -> None:
        # Daemons: a request that hangs must not keep the process from ending; its delivery is released before.
        for number in range(len(self._threads), size):
            self._threads.append(threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True))
            self._threads[-1].start()

    def submit(self, job: Job) -> None:
        """Queue a job for the next free thread."""
        self._jobs.put(job)

    def withdraw(self) -> list[Job]:
        """Remove and return the jobs that no thread has begun."""
        jobs: list[Job] = []
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs
            if job is not None:
                jobs.append(job)

    def join(self, timeout: float) -> None:
        """End the threads; those that have not ended after `timeout` seconds are left behind."""
        self._gate.open()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            self._gate.enter()  # before a job is taken, so that what waits can be withdrawn
            try:
                if (job := self._jobs.get()) is None:
                    return
                self._results.put(self._work(job))
            finally:
                self._gate.leave()


class Gate:
    """Lets so many threads in at once, and so many a second."""

    def __init__(self, size: int) -> None:
        """Let `size` threads in at once."""
        self._changed = threading.Condition()
        self._size = size
        self._inside = 0
        self._interval = 0.0
        self._next = 0.0

    def set(self, size: int, rate: float) -> None:
        """Let so many in at once from now on, and so many a second; those inside stay."""
        interval = 0.0 if math.isinf(rate) else 1 / rate
        if (size, interval) != (self._size, self._interval):
            with self._changed:
                self._size, self._interval = size, interval
                self._changed.notify_all()

    def open(self) -> None:
        """Let everybody in."""
        with self._changed:
            self._size, self._interval, self._next = 1 << 30, 0.0, 0.0
            self._changed.notify_all()

    def enter(self) -> None:
        """Wait until there is room, and until it is time."""
        with self._changed:
            while (wait := self._wait()) != 0.0:
                self._changed.wait(wait)
            self._inside += 1
            if self._interval:
                self._next = max(self._next, time.monotonic()) + self._interval

    def leave(self) -> None:
        """Make room."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def _wait(self) -> float | None:
        """Return the seconds to wait; None for a change, 0 for none."""
        if self._inside >= self._size:
            return None
        return max(0.0, self._next - time.monotonic()) if self._interval else 0.0
