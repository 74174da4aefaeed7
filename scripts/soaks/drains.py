"""Drain processes that are meant to be killed, and the nursery that forks them.

A process with threads must not fork: a lock of SQLite's could be held at that moment, for ever in the child. So the
nursery is forked before the servers' threads begin, has none itself, and forks the drains on request.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import journal
from journal.outbox.claims import Claims
from soaks.lines import JOURNAL, LOCAL_PLATFORM, UPLOADER, OnLine, tracing
from uploader.delivery import drain as drain_module
from uploader.delivery.drain import Drain
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.summary import Summary
from uploader.delivery.timing import Timing
from uploader.platforms.registry import NAMES
from uploader.settings import Account, Settings

KEY = "ul_soak_key"
JOURNAL_UNUSABLE, BROKEN = 1, 70
"""Exit codes of a drain that could not use the journal, and of one that ended by an error of its own."""
# A wait doubles with each failure, of which a checkpoint may have twenty here.
TIMING = Timing(answer=0.3, first_wait=0.00001, shortest_wait=0.001, lease=60.0, renewal=20.0)
ULTRALYTICS, HUB = "ultralytics", "hub"


@dataclass(frozen=True)
class Job:
    """One drain.

    Attributes:
        folder: The journal.
        url: Where its runs go.
        platforms: As whose API.
        timing: How long it waits for what.
        unlocked: Whether it works without the journal's lock, as another one may do at the same time.
        watch_seconds: Goes on so long, whether or not there is anything to deliver; 0 ends when all is done.
        before_line: Called before each line of our own code, whichever thread runs it; it may end the process.
    """

    folder: Path
    url: str
    platforms: tuple[str, ...] = (ULTRALYTICS,)
    timing: Timing = TIMING
    unlocked: bool = False
    watch_seconds: float = 0.0
    before_line: OnLine | None = None

    @property
    def settings(self) -> Settings:
        """What a person would have set for it."""
        urls = {name: self.url if name in self.platforms else None for name in NAMES}
        return Settings(accounts={name: Account(url, KEY) for name, url in urls.items()})

    @property
    def options(self) -> DrainOptions:
        """What a person would have asked for."""
        watch = self.watch_seconds > 0
        return DrainOptions(timing=self.timing, parallel=8, watch=watch, max_time=self.watch_seconds if watch else None)


def drain(job: Job) -> Summary:
    """Run a drain in this process to its end; SIGTERM stops it, where this is the main thread."""
    with _traced(job.before_line), journal.open(job.folder) as opened, closing(opened.outbox()) as outbox:
        running = Drain(opened, outbox, job.settings, job.options)
        with _sigterm(running.stop):
            return running.run()


@contextmanager
def _sigterm(stop: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _traced(before_line: OnLine | None) -> AbstractContextManager[None]:
    return tracing(before_line, JOURNAL, UPLOADER, but=LOCAL_PLATFORM) if before_line else nullcontext()


class Nursery:
    """A process that forks drains. Make it before any thread is started."""

    def __init__(self) -> None:
        """Fork it."""
        self._ours, theirs = Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._ours.close()
            _serve(theirs)
        theirs.close()

    def start(self, job: Job) -> int:
        """Fork a drain and return its process id."""
        self._ours.send(job)
        pid: int = self._ours.recv()
        return pid

    def wait(self, pid: int) -> int:
        """Return the exit code of a drain when it has ended; that of a killed one is the signal's, negative."""
        self._ours.send(pid)
        code: int = self._ours.recv()
        return code

    def close(self) -> None:
        """End the nursery; drains that run are left behind."""
        self._ours.close()
        os.waitpid(self._pid, 0)


def _serve(requests: Connection[Any, Any]) -> None:
    """Fork for jobs and wait for process ids until the pipe ends; never return into the parent's code."""
    while True:
        try:
            request = requests.recv()
        except EOFError:
            os._exit(0)
        if isinstance(request, Job):
            pid = os.fork()
            if pid == 0:
                _drain_and_exit(request)
            requests.send(pid)
        else:
            requests.send(os.waitstatus_to_exitcode(os.waitpid(request, 0)[1]))


def _drain_and_exit(job: Job) -> None:
    code = BROKEN
    try:
        logging.disable()
        if job.unlocked:
            _take_the_lock_away()
        code = drain(job).exit_code
    except journal.JournalError:
        code = JOURNAL_UNUSABLE  # two drains at once may keep each other waiting for too long
    except BaseException as error:  # noqa: BLE001 - whatever it is, the forked interpreter ends here
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _take_the_lock_away() -> None:
    """Let two drains work at once. What only the holder of the lock may do, take back every claim, is not done."""

    def no_lock(_: Path) -> AbstractContextManager[None]:
        return nullcontext()

    drain_module.drain_lock = no_lock
    Claims.reclaim = lambda _: 0
