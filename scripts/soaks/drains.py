"""Drain processes that are meant to be killed, and the server process that forks them.

A process with threads must not fork, because a lock of SQLite's that is held at that moment would stay locked in the
child forever. So the fork server is forked before the servers' threads start, has no threads, and forks drains on
request.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial, partialmethod
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import journal
from journal.outbox.claims import Claims
from journal.reading.drain_at_work import DrainAtWork
from soaks.lines import JOURNAL, LOCAL_PLATFORM, UPLOADER, OnLine, tracing
from uploader.delivery import drain_lock as lock_module
from uploader.delivery.drain import Drain
from uploader.delivery.drain_lock import HeldLock
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.outages import until_there
from uploader.delivery.summary import Summary
from uploader.delivery.timing import Timing
from uploader.platforms.registry import NAMES
from uploader.settings import Account, Settings

KEY = "ul_soak_key"
JOURNAL_UNUSABLE, BROKEN = 1, 70
"""Exit codes of a drain that could not use the journal, and of one that ended with an internal error."""
# A wait doubles with each failure, of which a checkpoint may have twenty here.
TIMING = Timing(answer=0.3, first_wait=0.00001, shortest_wait=0.001, lease=60.0, renewal=20.0)
ULTRALYTICS, HUB = "ultralytics", "hub"


@dataclass(frozen=True)
class Job:
    """One drain.

    Attributes:
        folder: The journal.
        url: Where its runs are delivered.
        platforms: The APIs to use.
        timing: Its time-outs and waits.
        unlocked: Whether it works without the journal's lock, so that another drain can run at the same time.
        watch_seconds: How long it watches; 0 ends when everything is done.
        before_line: Called before each line of our own code, in any thread; it may end the process.
        shared: The URL of a shared journal, which has the folder here; None for a journal in the folder.
        node: The journal of the node that recorded what the shared one holds; None if it is in the folder.
    """

    folder: Path
    url: str
    platforms: tuple[str, ...] = (ULTRALYTICS,)
    timing: Timing = TIMING
    unlocked: bool = False
    watch_seconds: float = 0.0
    before_line: OnLine | None = None
    shared: str | None = None
    node: Path | None = None

    @property
    def recorded(self) -> Path:
        """The journal in a file that has what was recorded."""
        return self.node or self.folder

    @property
    def settings(self) -> Settings:
        """The settings that a person would have made."""
        urls = {name: self.url if name in self.platforms else None for name in NAMES}
        return Settings(accounts={name: Account(url, KEY) for name, url in urls.items()})

    @property
    def options(self) -> DrainOptions:
        """The options that a person would have chosen."""
        watch = self.watch_seconds > 0
        return DrainOptions(timing=self.timing, parallel=8, watch=watch, max_time=self.watch_seconds if watch else None)


def drain(job: Job) -> Summary:
    """Run a drain in this process to its end; SIGTERM stops it if this is the main thread."""
    with _traced(job.before_line), ExitStack() as opened:
        ready = partial(_ready, opened, job)
        running = until_there(ready, watch=False, max_time=None, has_stopped=lambda: False) if job.shared else ready()
        with _sigterm(running.stop):
            return running.run()


def _ready(opened: ExitStack, job: Job) -> Drain:
    """Open a journal with a drain for it, as the command does; both are closed with the stack."""
    found = opened.enter_context(opened_of(job))
    outbox = opened.enter_context(closing(found.outbox()))
    return Drain(found, outbox, job.settings, job.options)


def opened_of(job: Job) -> AbstractContextManager[journal.Journal]:
    """Open the journal of a drain."""
    return opened_shared(job.shared, job.folder) if job.shared else journal.open(job.folder)


@contextmanager
def opened_shared(url: str, folder: Path) -> Iterator[journal.Journal]:
    """Open a shared journal that has this folder here, with the checkpoints in it."""
    from journal.postgres import postgres_steps
    from journal.postgres.postgres_backend import PostgresBackend

    with closing(PostgresBackend(url, folder)) as backend:
        yield journal.Journal(backend, postgres_steps.prepare(backend))


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


class ForkServer:
    """A process that forks drains. Create it before any thread is started."""

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
        """Wait for a drain and return its exit code; if it was killed, the negative number of the signal."""
        self._ours.send(pid)
        code: int = self._ours.recv()
        return code

    def close(self) -> None:
        """End the fork server; running drains are left behind."""
        self._ours.close()
        os.waitpid(self._pid, 0)


def _serve(requests: Connection[Any, Any]) -> None:
    """Fork drains and wait for process ids until the pipe ends; never return into the parent's code."""
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
    except journal.JournalError as error:
        code = JOURNAL_UNUSABLE  # two drains at once may block each other for too long
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    except BaseException as error:  # noqa: BLE001 - the forked interpreter ends here in any case
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _take_the_lock_away() -> None:
    """Let two drains work at once. They then do not take back all claims, which only the lock's holder may do."""

    def no_lock(folder: Path, **_: object) -> AbstractContextManager[HeldLock]:
        return nullcontext(HeldLock(folder, DrainAtWork()))

    lock_module.drain_lock = no_lock
    Claims.take_over = partialmethod(Claims.take_over, is_alone=False)
