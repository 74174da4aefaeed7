"""Drain processes that are meant to be killed, and the nursery that forks them.

A process with threads must not fork: a lock of SQLite's could be held at that moment, for ever in the child. So the
nursery is forked before the servers' threads begin, has none itself, and forks the drains on request.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import FrameType
from typing import Any

import journal
import uploader
from journal.outbox import Outbox
from uploader.drain import worker
from uploader.drain.pace import Pace
from uploader.drain.summary import Summary
from uploader.drain.worker import Drain, DrainOptions
from uploader.settings import Settings

KEY = "ul_soak_key"
JOURNAL_UNUSABLE, BROKEN = 1, 70
"""Exit codes of a drain that could not use the journal, and of one that ended by an error of its own."""
PACE = Pace(answer=0.3, first_wait=0.005, shortest_wait=0.005, lease=60.0, renewal=20.0)
_SOURCES = tuple(str(Path(package.__file__ or "").parent) for package in (journal, uploader))


@dataclass(frozen=True)
class Job:
    """One drain.

    Attributes:
        folder: The journal.
        url: Where its runs go.
        pace: How long it waits for what.
        unlocked: Whether it works without the journal's lock, as another one may do at the same time.
        kill_at_line: Ends itself by SIGKILL before so many lines of our Python; 0 never does.
    """

    folder: Path
    url: str
    pace: Pace = PACE
    unlocked: bool = False
    kill_at_line: int = 0


def drain(job: Job) -> Summary:
    """Run a drain in this process to its end."""
    settings = Settings(api_key=KEY, chosen_platform_url=job.url)
    with journal.open(job.folder) as opened, closing(opened.outbox()) as outbox:
        running = Drain(opened, outbox, settings, DrainOptions(pace=job.pace, parallel=8))
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: running.stop())
        return running.run()


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
        if job.kill_at_line:
            _trace(job.kill_at_line)
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

    worker.drain_lock = no_lock
    Outbox.reclaim = lambda _: 0


def _trace(lines: int) -> None:
    """End the process before the n-th line of our own code, whichever thread runs it."""
    left = lines

    def at_line(_: FrameType, event: str, __: Any) -> Any:
        nonlocal left
        left -= event == "line"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    def at_call(frame: FrameType, _: str, __: Any) -> Any:
        return at_line if frame.f_code.co_filename.startswith(_SOURCES) else None

    threading.settrace(at_call)
    sys.settrace(at_call)
