"""Does our work in a thread beside the one that calls us, so that no signal handler can interrupt it.

Signal handlers run in the main thread, between any two of its instructions. An exception raised by one (a second
Ctrl-C, the time limit of a task queue) would hit our code in the middle: it would be taken for an error of ours and
swallowed, or leave something half written. So the calling thread only waits. An exception that hits it there goes where
it was meant to go, and the work is completed, job after job.

A person's objects (a trainer's attributes, values of their classes, log handlers) are touched by their own thread only,
while it waits: it may hold a lock that another thread would wait for, as with a `with lock:` around a training. So our
work has such tasks done by `in_caller`, and what our threads log is logged by that thread. A task that is interrupted
is done again when the calling thread is back, at the latest when the process ends.

A child that is forked while the calling thread waits, by a signal handler or such a task, has no thread of ours. Its
wait is over: the work is its parent's. Once the interpreter tears modules down, no other thread runs, and the calling
thread does its work itself.
"""

from __future__ import annotations

import atexit
import contextvars
import logging
import os
import queue
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Generic, TypeVar, cast

from journal.handler_errors import raised_in_handler, register_handlers
from uploader.recording.deferred_logs import defer_logs
from uploader.recording.thread_start import start_thread

Value = TypeVar("Value")
Method = TypeVar("Method", bound=Callable[..., Any])
Job = Callable[[], object]
_POLL_SECONDS = 0.2
_EXIT_SECONDS = 600.0
"""How long a process that ends waits for interrupted work, at most; a person can interrupt that wait, too."""
_TRIES = 3
"""A task that raises something in each of so many tries has raised it itself, and no unknown signal handler did."""


class _Task:
    """A job, since when its caller waits for it (on the monotonic clock), and its outcome."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.begun_at = time.monotonic()
        self.is_done = False
        self.outcome: BaseException | None = None


class CallerTask(Generic[Value]):
    """A part of a job that touches a person's objects, so that the thread which holds their locks does it.

    Our thread calls it in the job, and has its result. It may be done more than once, so it has to be idempotent. No
    lock of ours may be held meanwhile.
    """

    def __init__(self, do: Callable[[], Value]) -> None:
        self.do = do
        self.failures = 0
        self.is_answered = False
        self.answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def __call__(self) -> Value:
        """Have it done, and return what it returns, or raise what it raises."""
        return executor().run_in_caller(self) if getattr(_here, "may_use_caller", False) else self.do()


class SerialExecutor:
    """Does the jobs of one calling thread in a thread of its own, one after the other.

    Args:
        outer: The executor whose task the calling thread is doing at this moment.

    Attributes:
        trainings: The recordings of the calling thread's trainings, the current one last.
    """

    def __init__(self, outer: SerialExecutor | None = None) -> None:
        """Start no thread yet; there is one while there are jobs, and while `keep_thread` has it stay."""
        self.trainings: list[Any] = outer.trainings if outer else []
        self._owner = threading.current_thread()
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a signal handler may have jobs of its own
        self._tasks: deque[_Task] = deque()
        self._thread: threading.Thread | None = None
        self._keepers = 0
        self._has_news = threading.Lock()  # released to wake our thread: a job came, or nobody keeps it any more
        self._has_news.acquire()
        self._working = threading.Lock()
        self._is_busy = False
        self._caller_task: CallerTask[Any] | None = None
        self._deferred_logs: deque[logging.LogRecord] = deque()
        self._wake_up = threading.Lock()  # released to wake the calling thread; `_await` says why it is no queue
        self._wake_up.acquire()
        _executors.add(self)

    def run(
        self,
        job: Job,
        when_interrupted: Job | None = None,
        seconds: float | None = None,
        first: CallerTask[Any] | None = None,
    ) -> Exception | None:
        """Do a job after those before it, and return the error that ended it.

        Args:
            job: What is to be done. It continues when the wait for it is interrupted.
            when_interrupted: Called in that case, before the exception is passed on.
            seconds: The longest wait; None for as long as it takes.
            first: The part of the job that it begins with. The calling thread does it while ours wakes up, instead of
                sleeping until it is asked to.

        Raises:
            BaseException: What a signal handler raised in the waiting thread, or what the job raised if that is not an
                `Exception`.
        """
        # A job within a job, as no signal handler runs in our thread; or one of a `finally` at the very end.
        if is_in_our_thread() or sys.is_finalizing():
            return _unless_exiting(_outcome(job))
        here = contextvars.copy_context()  # which others' log handlers and streams may use
        task = _Task(lambda: here.run(job))
        try:  # around the hand-over, too, as it may be interrupted when the job is already queued
            if self._hand_over(task) and first is not None:
                self._do_caller_task(first)
            self._await(task, seconds)
        except BaseException:
            if self.is_of_parent():
                raise
            atexit.unregister(self._finish_at_exit)
            atexit.register(self._finish_at_exit)  # registered last, so that it runs first
            if when_interrupted is not None:
                when_interrupted()
            raise
        self.emit_logs()
        return _unless_exiting(task.outcome)

    def keep_thread(self) -> None:
        """Have the thread wait for the next job, until `let_thread_go` was called as often.

        To start one takes a few tenths of a millisecond where cores are free, and several milliseconds where a training
        has them all: the system lets who was asleep run sooner than who is new.
        """
        with self._lock:
            self._keepers += 1

    def let_thread_go(self) -> None:
        """Have the thread end once its jobs are done, unless somebody else keeps it."""
        with self._lock:
            self._keepers -= 1
        _release(self._has_news)

    def run_in_caller(self, part: CallerTask[Value]) -> Value:
        """Have the waiting thread do a part of the job; return what that returns, or raise what it raises."""
        self._caller_task = part
        self._wake()
        try:
            while self._owner.is_alive():
                with suppress(queue.Empty):
                    value, error = part.answer.get(timeout=_POLL_SECONDS)
                    return cast("Value", _returned(value, error))
        finally:
            self._caller_task = None  # it may keep alive an object such as a trainer
        return part.do()

    def defer_log(self, record: logging.LogRecord) -> bool:
        """Keep what our thread logs for the calling thread; return False if that thread has ended."""
        if not self._owner.is_alive():
            return False
        self._deferred_logs.append(record)
        self._wake()
        return True

    def is_of_parent(self) -> bool:
        """Return whether this process is a forked child of the one whose jobs these are."""
        return self._pid != os.getpid()

    def emit_logs(self) -> None:
        """Log what our threads have deferred; does nothing in one of these threads, nor in a forked child."""
        while self._deferred_logs and not is_in_our_thread() and not self.is_of_parent():
            record = self._deferred_logs.popleft()
            self._do_here(lambda record=record: logging.getLogger(record.name).handle(record))  # type: ignore[misc]

    def _hand_over(self, task: _Task) -> bool:
        """Queue a job for the thread; return whether that begins with it at once.

        If none can be started, as when the interpreter exits, all jobs are done here.
        """
        with self._lock:
            is_next = not (self._tasks or self._is_busy)
            self._tasks.append(task)
            _release(self._has_news)
            if self._thread is not None and self._thread.is_alive():
                return is_next
            self._thread = threading.Thread(target=self._work_in_thread, name="uploader-callbacks", daemon=True)
            try:
                start_thread(self._thread)
                return is_next
            except RuntimeError as error:
                if raised_in_handler(error):
                    raise
                self._thread = None
        if not self.is_of_parent():
            self._work()
        return False

    def _work_in_thread(self) -> None:
        """Work in our thread; if its start was interrupted, a second thread may have been started beside it."""
        with self._working:
            bind_thread(self)
            _here.may_use_caller = True
            while self._work():
                self._has_news.acquire()

    def _work(self) -> bool:
        """Do the jobs that wait; return whether our thread is to wait for more, else it ends."""
        while True:
            with self._lock:
                if not self._tasks:
                    self._thread = self._thread if self._keepers else None
                    return self._keepers > 0
                task, self._is_busy = self._tasks.popleft(), True
            _here.begun_at = task.begun_at
            task.outcome, task.job = _outcome(task.job), _nothing  # released before its end is reported
            self._is_busy, task.is_done = False, True
            self._wake()

    def _await(self, task: _Task, seconds: float | None) -> None:
        """Wait for a task, and do the tasks that are for the calling thread.

        It polls, since a signal that was delivered to another thread does not end a wait. A child that is forked
        meanwhile waits no longer. It waits for a lock, because the wait for a `SimpleQueue` may never time out where
        signals interrupt it (Python 3.10: its time left becomes negative).
        """
        until = None if seconds is None else time.monotonic() + seconds
        while not task.is_done and (until is None or time.monotonic() < until):
            self._wake_up.acquire(timeout=_POLL_SECONDS)
            self.emit_logs()
            if self.is_of_parent():
                return
            part = self._caller_task
            if part is not None and not part.is_answered:
                self._do_caller_task(part)
        self._wake_up.acquire(blocking=False)  # a wake-up that was handled already

    def _wake(self) -> None:
        _release(self._wake_up)

    def _do_caller_task(self, part: CallerTask[Any]) -> None:
        try:
            part.answer.put(self._do_here(part.do))
        except BaseException as error:
            part.failures += not raised_in_handler(error)
            if part.failures == _TRIES:
                part.answer.put((None, error))
                part.is_answered = True
            raise
        part.is_answered = True

    def _do_here(self, part: Callable[[], Value]) -> tuple[Value | None, Exception | None]:
        """Do a part of a job here; return what it returns and its error, and raise what a signal handler raises.

        What a signal handler, or a person's class, records meanwhile must not wait for the job, which waits for this.
        """
        register_handlers()
        before, _here.executor = executor(), SerialExecutor(self)
        try:
            return part(), None
        except Exception as error:
            if raised_in_handler(error):
                raise
            return None, error
        finally:
            _here.executor = before

    def _finish_at_exit(self) -> None:
        if not self.is_of_parent():
            self.run(lambda: None, seconds=_EXIT_SECONDS)


def executor() -> SerialExecutor:
    """Return the executor of this thread, or of the thread whose jobs this one does."""
    found: SerialExecutor | None = getattr(_here, "executor", None)
    if found is None or found.is_of_parent():
        found = _here.executor = SerialExecutor()
    return found


def bind_thread(owner: SerialExecutor) -> None:
    """Note that this thread is one of ours, and whose jobs it does."""
    _here.executor, _here.is_ours = owner, True


def in_caller(part: Callable[[], Value]) -> Value:
    """Do a part of a job as a `CallerTask`, and return its result."""
    return CallerTask(part)()


def run_uninterrupted(job: Callable[[], Value], when_interrupted: Job | None = None) -> Value:
    """Do a job as `SerialExecutor.run` does; return what it returns, or raise what it raises.

    A child that is forked meanwhile is returned None: the job is its parent's.
    """
    returned: list[Value] = []
    if (error := executor().run(lambda: returned.append(job()), when_interrupted)) is not None:
        raise error
    return returned[0] if returned else cast("Value", None)


def uninterrupted(method: Method) -> Method:
    """Make a method run to its end even if its caller is interrupted."""

    @wraps(method)
    def done(*arguments: Any, **options: Any) -> Any:
        if getattr(_here, "is_ours", False):  # as `SerialExecutor.run` does it, for each event
            return method(*arguments, **options)
        return run_uninterrupted(lambda: method(*arguments, **options))

    return cast("Method", done)


def callback_begun_at() -> float | None:
    """Return since when a thread waits for the job that this one does, on the monotonic clock; None elsewhere."""
    return getattr(_here, "begun_at", None) if is_in_our_thread() else None


def is_in_our_thread() -> bool:
    """Return whether this thread does jobs for another one."""
    return getattr(_here, "is_ours", False)


def _release(lock: threading.Lock) -> None:
    with suppress(RuntimeError):  # who waits for it is to wake already
        lock.release()


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


def _unless_exiting(error: BaseException | None) -> Exception | None:
    """Return an error, but raise what is not an `Exception`, such as SystemExit."""
    if error is None or isinstance(error, Exception):
        return error
    raise error


def _defer(record: logging.LogRecord) -> bool:
    return is_in_our_thread() and executor().defer_log(record)


def _emit_at_exit() -> None:
    for found in list(_executors):
        found.emit_logs()


def _reset_in_child() -> None:
    """Forget, in a forked child, threads that it does not have and trainings that are its parent's."""
    vars(_here).clear()
    _executors.clear()


_here = threading.local()
_executors: weakref.WeakSet[SerialExecutor] = weakref.WeakSet()
defer_logs(_defer)
atexit.register(_emit_at_exit)

os.register_at_fork(after_in_child=_reset_in_child)
