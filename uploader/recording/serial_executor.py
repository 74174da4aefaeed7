"""A thread beside each thread that records, in which our work is done.

Signal handlers run in the main thread, between any two of its instructions. What one raises (a second Ctrl-C, the time
limit of a task queue) would strike in the midst of ours: taken for an error of ours and swallowed, or ending what is
half written. So the thread that records only waits. What strikes it there goes where it was meant to go, and the work
is done to its end, each piece after the one before.

What belongs to the person (a trainer's attributes, values of their classes, whatever handles log records) is touched by
their own thread alone, while it waits: it may hold a lock that another thread would wait for, as a `with lock:` around
a training does. So the work asks for such pieces with `in_caller`, and what threads of ours log, that thread logs. A
piece that is struck is done again when the thread comes back, at the latest when the process ends.
"""

from __future__ import annotations

import atexit
import contextvars
import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

from journal.handler_errors import raised_in_handler, register_handlers

Value = TypeVar("Value")
Method = TypeVar("Method", bound=Callable[..., Any])
Job = Callable[[], object]
_LOOK_UP_SECONDS = 0.2
_EXIT_SECONDS = 600.0
"""A process that ends waits so long for what it has interrupted, at most; that is interrupted in turn as ever."""
_TRIES = 3
"""What each try of a piece raises, though it is no error and of no signal handler that is known, is the piece's own."""
_LOGGERS = (
    "uploader",
    "ultralytics",
    "journal.folder",
    "journal.writing.fallback_intake",
    "journal.checkpoints.salvage",
)
"""What our threads log to."""


class _Task:
    """Work, and what became of it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.is_done = False
        self.outcome: BaseException | None = None


class _Piece:
    """A part of the work that is done by the thread which waits for it; until it is answered, whenever that waits."""

    def __init__(self, do: Job) -> None:
        self.do = do
        self.failures = 0
        self.is_answered = False
        self.answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()


class SerialExecutor:
    """Does the work of one thread.

    Args:
        outer: The shelter for which that thread does a piece at this moment.

    Attributes:
        trainings: The recordings of that thread's trainings, the one at work last.
    """

    def __init__(self, outer: SerialExecutor | None = None) -> None:
        """There is no thread before there is work, and none after it."""
        self.trainings: list[Any] = outer.trainings if outer else []
        self._owner = threading.current_thread()
        self._lock = threading.RLock()  # a signal handler may have work of its own
        self._tasks: deque[_Task] = deque()
        self._thread: threading.Thread | None = None
        self._at_work = threading.Lock()
        self._asked: _Piece | None = None
        self._unsaid: deque[logging.LogRecord] = deque()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        _executors.add(self)

    def run(self, job: Job, when_interrupted: Job | None = None, seconds: float | None = None) -> Exception | None:
        """Do a job after those before it, and return the error that ended it.

        Args:
            job: What is to be done. It goes on when the wait for it is interrupted.
            when_interrupted: Called then, before the exception goes on.
            seconds: The longest wait; None for as long as it takes.

        Raises:
            BaseException: What struck the waiting thread, or what the job raised that is no `Exception`.
        """
        if _is_ours():  # a job of a job; no signal handler runs here
            return _passing(_outcome(job))
        here = contextvars.copy_context()  # as log handlers and streams of others ask for it
        task = _Task(lambda: here.run(job))
        try:  # also what strikes here: the job may be handed over by then
            self._hand_over(task)
            self._await(task, seconds)
        except BaseException:
            atexit.unregister(self._await_all)
            atexit.register(self._await_all)  # now, so that it is the first of what runs at exit
            if when_interrupted is not None:
                when_interrupted()
            raise
        self.say_all()
        return _passing(task.outcome)

    def ask(self, do: Callable[[], Value]) -> Value:
        """Have the thread that waits do a piece of the work, and return what that returns, or raise what it raises."""
        piece = self._asked = _Piece(do)
        self._news.put(None)
        try:
            while self._owner.is_alive():
                with suppress(queue.Empty):
                    value, error = piece.answer.get(timeout=_LOOK_UP_SECONDS)
                    return cast("Value", _returned(value, error))
        finally:
            self._asked = None  # it holds what others wait to see let go, such as a trainer
        return do()

    def keep(self, record: logging.LogRecord) -> bool:
        """Keep what a thread of ours logs, for the thread that it works for; not where that has ended."""
        if not self._owner.is_alive():
            return False
        self._unsaid.append(record)
        self._news.put(None)
        return True

    def say_all(self) -> None:
        """Log what threads of ours had to log; in none of those."""
        while self._unsaid and not _is_ours():
            record = self._unsaid.popleft()
            self._do(lambda record=record: logging.getLogger(record.name).handle(record))  # type: ignore[misc]

    def _hand_over(self, task: _Task) -> None:
        """Give a job to the thread; where none can be started, as at the end of the interpreter, do all that waits."""
        with self._lock:
            self._tasks.append(task)
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._work_apart, name="uploader-callbacks", daemon=True)
            try:
                self._thread.start()
                return
            except RuntimeError:
                self._thread = None
        self._work()

    def _work_apart(self) -> None:
        """Work in a thread of ours; one that was struck as it was being started may have another one beside it."""
        with self._at_work:
            bind_thread(self)
            _here.may_ask = True
            self._work()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._thread = None
                    return
                task = self._tasks.popleft()
            task.outcome, task.job = _outcome(task.job), _nothing  # what it holds is let go before its end is told
            task.is_done = True
            self._news.put(None)

    def _await(self, task: _Task, seconds: float | None) -> None:
        """Wait for a task, and do what is asked for meanwhile.

        It looks up now and then: a signal that another thread was given does not end a wait.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while not task.is_done and (until is None or time.monotonic() < until):
            with suppress(queue.Empty):
                self._news.get(timeout=_LOOK_UP_SECONDS)
            self.say_all()
            piece = self._asked
            if piece is not None and not piece.is_answered:
                self._serve(piece)
        with suppress(queue.Empty):  # of what was looked at already
            while True:
                self._news.get_nowait()

    def _serve(self, piece: _Piece) -> None:
        try:
            piece.answer.put(self._do(piece.do))
        except BaseException as error:
            piece.failures += not raised_in_handler(error)
            if piece.failures == _TRIES:
                piece.answer.put((None, error))
                piece.is_answered = True
            raise
        piece.is_answered = True

    def _do(self, piece: Callable[[], Value]) -> tuple[Value | None, Exception | None]:
        """Do a piece here, and return what it returns and its error; raise what strikes it.

        What a signal handler, or somebody's own class, has to record meanwhile is not to wait for what waits for this.
        """
        register_handlers()
        before, _here.executor = executor(), SerialExecutor(self)
        try:
            return piece(), None
        except Exception as error:
            if raised_in_handler(error):
                raise
            return None, error
        finally:
            _here.executor = before

    def _await_all(self) -> None:
        self.run(lambda: None, seconds=_EXIT_SECONDS)


def executor() -> SerialExecutor:
    """Return the one of this thread, or of the thread whose work this one does."""
    found: SerialExecutor | None = getattr(_here, "executor", None)
    if found is None:
        found = _here.executor = SerialExecutor()
    return found


def bind_thread(owner: SerialExecutor) -> None:
    """Take notice that this thread is one of ours, and whose work it does."""
    _here.executor, _here.is_ours = owner, True


def in_caller(piece: Callable[[], Value]) -> Value:
    """Do a piece of work that touches what is the person's, where their locks are; return what it returns.

    It may be done more than once, so it changes nothing that this would harm. No lock of ours is held meanwhile.
    """
    return executor().ask(piece) if getattr(_here, "may_ask", False) else piece()


def run_uninterrupted(job: Callable[[], Value], when_interrupted: Job | None = None) -> Value:
    """Do a job as `SerialExecutor.run` does, and return what it returns, or raise what it raises."""
    returned: list[Value] = []
    if (error := executor().run(lambda: returned.append(job()), when_interrupted)) is not None:
        raise error
    return returned[0]


def uninterrupted(method: Method) -> Method:
    """Have a method done to its end, whatever strikes the thread that calls it."""

    @wraps(method)
    def done(*arguments: Any, **options: Any) -> Any:
        return run_uninterrupted(lambda: method(*arguments, **options))

    return cast("Method", done)


def _is_ours() -> bool:
    return getattr(_here, "is_ours", False)


def _returned(value: Value, error: BaseException | None) -> Value:
    if error is not None:
        raise error
    return value


def _nothing() -> None:
    pass


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


class _Later(logging.Filter):
    """Keeps back what threads of ours log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (_is_ours() and executor().keep(record))


def _say_what_is_left() -> None:
    for found in list(_executors):
        found.say_all()


def _leave_parents() -> None:
    """A child has none of these threads, and no training in progress."""
    vars(_here).clear()
    _executors.clear()


_here = threading.local()
_executors: weakref.WeakSet[SerialExecutor] = weakref.WeakSet()
_later = _Later()
for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_later)
atexit.register(_say_what_is_left)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_parents)
