"""The worker threads of a drain. They do HTTP and read blobs, and touch neither the journal nor each other."""

from __future__ import annotations

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
            size: How many threads.
            work: Does a job; never raises.
            results: Where to put what it returns.
        """
        self._work = work
        self._results = results
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # Daemons: a request that hangs must not keep the process from ending; its delivery is released before.
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

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
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._results.put(self._work(job))
