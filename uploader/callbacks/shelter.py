"""A thread beside each training thread, in which our callbacks do their work.

Signal handlers run in the main thread, between any two of its instructions. What one raises (a second Ctrl-C, the time
limit of a task queue) would strike in the midst of ours: taken for an error of ours and swallowed, or ending what is
half written. So a training thread only waits. What strikes it there goes where it was meant to go, and the work is done
to its end, each piece after the one before.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Job = Callable[[], object]
_LOOK_UP_SECONDS = 0.2
_EXIT_SECONDS = 600.0
"""A process that ends waits so long for what it has interrupted, at most; that is interrupted in turn as ever."""


class Shelter:
    """Does the work of one thread.

    Attributes:
        trainings: The recordings of that thread's trainings, the one at work last.
    """

    def __init__(self) -> None:
        """There is no thread before there is work, and none after it."""
        self.trainings: list[Any] = []
        self._lock = threading.RLock()  # a signal handler may have work of its own
        self._jobs: deque[tuple[Job, queue.SimpleQueue[BaseException | None]]] = deque()
        self._thread: threading.Thread | None = None

    def run(self, job: Job, when_interrupted: Job | None = None, seconds: float | None = None) -> Exception | None:
        """Do a job after those before it, and return the error that ended it.

        Args:
            job: What is to be done. It goes on when the wait for it is interrupted.
            when_interrupted: Called then, before the exception goes on.
            seconds: The longest wait; None for as long as it takes.

        Raises:
            BaseException: What struck the waiting thread, or what the job raised that is no `Exception`.
        """
        if threading.current_thread() is self._thread:  # a job of a job
            return _passing(_outcome(job))
        done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        here = contextvars.copy_context()  # as log handlers and streams of others ask for it
        try:  # also what strikes here: the job may be handed over by then
            self._hand_over(lambda: here.run(job), done)
            outcome = _wait(done, seconds)
        except BaseException:
            atexit.unregister(self._await_all)
            atexit.register(self._await_all)  # now, so that it is the first of what runs at exit
            if when_interrupted is not None:
                when_interrupted()
            raise
        return _passing(outcome)

    def _hand_over(self, job: Job, done: queue.SimpleQueue[BaseException | None]) -> None:
        """Give a job to the thread; where none can be started, as at the end of the interpreter, do all that waits."""
        with self._lock:
            self._jobs.append((job, done))
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._work, name="uploader-callbacks", daemon=True)
            try:
                self._thread.start()
                return
            except RuntimeError:
                self._thread = None
        self._work()

    def _work(self) -> None:
        _here.shelter = self
        while True:
            with self._lock:
                if not self._jobs:
                    self._thread = None
                    return
                job, done = self._jobs.popleft()
            done.put(_outcome(job))

    def _await_all(self) -> None:
        self.run(lambda: None, seconds=_EXIT_SECONDS)


def shelter() -> Shelter:
    """Return the one of this thread, or of the thread whose work this one does."""
    found: Shelter | None = getattr(_here, "shelter", None)
    if found is None:
        found = _here.shelter = Shelter()
    return found


def _wait(done: queue.SimpleQueue[BaseException | None], seconds: float | None) -> BaseException | None:
    """Wait for an outcome, looking up now and then: a signal that another thread was given does not end a wait."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        with suppress(queue.Empty):
            return done.get(timeout=_LOOK_UP_SECONDS)
    return None


def _outcome(job: Job) -> BaseException | None:
    try:
        job()
    except BaseException as error:  # noqa: BLE001  told to who waits
        return error
    return None


def _passing(error: BaseException | None) -> Exception | None:
    """Return an error; raise what is none, such as SystemExit."""
    if error is None or isinstance(error, Exception):
        return error
    raise error


_here = threading.local()

if hasattr(os, "register_at_fork"):  # a child has none of these threads, and no training in progress
    os.register_at_fork(after_in_child=lambda: vars(_here).clear())
