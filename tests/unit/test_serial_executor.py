"""Work of ours beside a thread that anything may strike: it is done to its end, in order, and nothing is swallowed."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.alarms import Alarm, alarm_main, on_alarm, raising_on_alarm, repeated_alarm
from support.journals import until

from uploader.live.guard import guard
from uploader.recording.serial_executor import (
    CallerTask,
    SerialExecutor,
    bind_thread,
    callback_begun_at,
    executor,
    in_caller,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[Alarm, TimeoutError, RuntimeError, KeyError, KeyboardInterrupt, SystemExit])
def struck(request: pytest.FixtureRequest) -> Iterator[type[BaseException]]:
    """Whatever a person's signal handler may raise."""
    with raising_on_alarm(request.param):
        yield request.param


@pytest.fixture
def made() -> SerialExecutor:
    return SerialExecutor()


def test_what_strikes_the_thread_that_waits_reaches_it_and_the_work_is_done(
    made: SerialExecutor, struck: type[BaseException]
) -> None:
    done: list[str] = []
    was_struck, was_told = threading.Event(), threading.Event()

    def work() -> None:
        alarm_main()
        assert was_struck.wait(60)
        done.append("first")

    with pytest.raises(struck):
        made.run(work, was_told.set)
    assert was_told.is_set()
    was_struck.set()
    assert made.run(lambda: done.append("second")) is None
    assert done == ["first", "second"]


def test_the_guard_lets_pass_what_strikes_the_training(struck: type[BaseException]) -> None:
    training = SimpleNamespace()
    go_on = threading.Event()
    with pytest.raises(struck):
        guard(training, "a callback", lambda: (alarm_main(), go_on.wait(60)))
    go_on.set()
    assert vars(training) == {}  # no error of ours was told


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a thread struck in being started
def test_a_thread_that_is_struck_all_the_time_loses_nothing_and_does_nothing_twice(made: SerialExecutor) -> None:
    begun: list[int] = []
    done: list[int] = []
    returned: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        sum(range(2000))
        done.append(number)

    with repeated_alarm() as alarm:
        for number in range(400):
            with suppress(Alarm):
                alarm.is_armed = True
                made.run(partial(work, number))
                alarm.is_armed = False
                returned.append(number)
    assert made.run(partial(work, 400)) is None
    assert done == begun == sorted(set(done))
    assert set(returned) <= set(done)
    assert len(returned) < 400  # some were struck


def test_what_strikes_it_when_the_thread_that_it_starts_runs_already_reaches_it(
    made: SerialExecutor, struck: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Thread.start` meets an error of its own then."""
    name = "_start_new_thread" if hasattr(threading, "_start_new_thread") else "_start_joinable_thread"
    start, done = getattr(threading, name), list[str]()

    def start_and_be_struck(*arguments: Any, **options: Any) -> None:
        start(*arguments, **options)
        until(lambda: arguments[0].__self__ not in threading._limbo)  # type: ignore[attr-defined]
        alarm_main()

    monkeypatch.setattr(threading, name, start_and_be_struck)
    with pytest.raises(struck) as caught:
        made.run(lambda: done.append("first"))
    assert type(caught.value) is struck
    assert caught.value.args == ()
    monkeypatch.undo()
    assert made.run(lambda: done.append("second")) is None
    assert done == ["first", "second"]


def test_an_error_of_the_work_is_returned_and_what_is_no_error_is_raised(made: SerialExecutor) -> None:
    def fail(error: BaseException) -> None:
        raise error

    error = ValueError("ours")
    assert made.run(lambda: fail(error)) is error
    with pytest.raises(SystemExit):
        made.run(lambda: fail(SystemExit()))


def test_work_within_work_is_done_at_once_and_knows_whose_it_is(made: SerialExecutor) -> None:
    done: list[str] = []

    def outer() -> None:
        assert executor() is made
        made.run(lambda: done.append("inner"))
        done.append("outer")

    made.run(outer)
    assert done == ["inner", "outer"]


def test_a_thread_that_cannot_be_started_costs_nothing(made: SerialExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[str] = []
    assert made.run(lambda: done.append("here")) is None
    assert done == ["here"]


def test_what_waits_is_done_before_it_where_no_thread_can_be_started(
    made: SerialExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[type[BaseException]] = [KeyboardInterrupt, RuntimeError]

    def refuse(thread: threading.Thread) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        made.run(lambda: done.append("struck"))
    assert made.run(lambda: done.append("next")) is None
    assert done == ["struck", "next"]


def test_the_work_sees_the_context_that_it_was_given_in(made: SerialExecutor) -> None:
    """Others' log handlers and streams ask for it."""
    here: ContextVar[str] = ContextVar("here")
    here.set("a flow")
    seen: list[str] = []
    made.run(lambda: made.run(lambda: seen.append(here.get("nowhere"))))
    assert seen == ["a flow"]


def test_what_is_theirs_is_done_in_their_thread(made: SerialExecutor) -> None:
    """They may hold a lock, also one of those that only the thread which holds it may take again."""
    lock = threading.RLock()
    done: list[Any] = []

    def take() -> str:
        with lock:
            return threading.current_thread().name

    def work() -> None:
        done.append(in_caller(take))
        done.append(in_caller(lambda: done[0]))

    with lock:
        assert made.run(work) is None
    assert done == [threading.current_thread().name] * 2


def test_what_threads_of_ours_log_is_logged_in_their_thread(
    made: SerialExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    lock = threading.RLock()
    logger = logging.getLogger("uploader")
    logged: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with lock:
                logged.append(f"{record.getMessage()} in {threading.current_thread().name}")

    def work() -> None:
        logger.warning("of the work")
        another = threading.Thread(target=lambda: (bind_thread(made), logger.warning("of another one")))
        another.start()
        another.join()

    logger.addHandler(handler := Handler())
    try:
        with lock:
            assert made.run(work) is None
    finally:
        logger.removeHandler(handler)
    assert logged == [f"{text} in {threading.current_thread().name}" for text in ("of the work", "of another one")]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_an_error_of_a_piece_is_the_works(made: SerialExecutor) -> None:
    def fail() -> None:
        raise ValueError("theirs")

    def work() -> None:
        with pytest.raises(ValueError, match="theirs"):
            in_caller(fail)

    assert made.run(work) is None


def test_a_piece_that_is_struck_is_done_again_and_what_struck_it_reaches_the_thread(
    made: SerialExecutor, struck: type[BaseException]
) -> None:
    tries: list[int] = []
    done: list[str] = []

    def piece() -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            alarm_main()
        return "read"

    with pytest.raises(struck):
        made.run(lambda: done.append(in_caller(piece)))
    assert made.run(lambda: done.append("next")) is None
    assert (tries, done) == ([0, 1], ["read", "next"])


def test_the_first_piece_is_done_before_it_is_asked_for(made: SerialExecutor) -> None:
    was_read = threading.Event()
    piece = CallerTask(lambda: (was_read.set(), threading.current_thread()))
    done: list[Any] = []
    assert made.run(lambda: (done.append(was_read.wait(60)), done.append(piece())), first=piece) is None
    assert done == [True, (None, threading.current_thread())]


def test_the_first_piece_is_not_done_before_the_work_that_precedes_its_own(
    made: SerialExecutor, struck: type[BaseException]
) -> None:
    done: list[str] = []

    def work() -> None:
        alarm_main()
        assert was_struck.wait(60)
        in_caller(lambda: done.append("a piece of the first"))

    was_struck = threading.Event()
    with pytest.raises(struck):
        made.run(work)
    was_struck.set()
    piece = CallerTask(lambda: done.append("of the second"))
    assert made.run(piece, first=piece) is None
    assert done == ["a piece of the first", "of the second"]


def test_a_first_piece_that_is_struck_is_done_again(made: SerialExecutor, struck: type[BaseException]) -> None:
    alarms = [alarm_main]
    done: list[str] = []
    piece = CallerTask(lambda: alarms.pop()() if alarms else "read")
    with pytest.raises(struck):
        made.run(lambda: done.append(piece() or "nothing"), first=piece)
    assert made.run(lambda: done.append("next")) is None
    assert done == ["read", "next"]


def test_a_piece_that_never_ends_well_ends_its_work(made: SerialExecutor) -> None:
    tries: list[int] = []

    def leave() -> None:
        tries.append(len(tries))
        raise SystemExit

    with pytest.raises(SystemExit):
        made.run(lambda: in_caller(leave))
    for _ in tries * 2:
        with pytest.raises(SystemExit):
            made.run(lambda: None)
    assert made.run(lambda: None) is None
    assert tries == [0, 1, 2]


def test_a_signal_handler_that_replaces_itself_is_known_by_what_it_raises(made: SerialExecutor) -> None:
    class Handler:
        def __call__(self, *_: object) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            raise Alarm

    alarms = [alarm_main]
    with on_alarm(Handler()), pytest.raises(Alarm):
        made.run(lambda: in_caller(lambda: alarms and alarms.pop()()))
    assert made.run(lambda: None) is None


def test_what_a_signal_handler_records_in_the_midst_of_a_piece_waits_for_nothing(made: SerialExecutor) -> None:
    done: list[str] = []

    def record(*_: object) -> None:
        assert executor().run(lambda: done.append(in_caller(lambda: "the handler's"))) is None

    with on_alarm(record):
        assert made.run(lambda: (in_caller(alarm_main), done.append("the work's"))) is None
    assert done == ["the handler's", "the work's"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pieces_that_are_struck_all_the_time_lose_nothing(made: SerialExecutor) -> None:
    begun: list[int] = []
    done: list[int] = []
    struck: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        done.append(in_caller(lambda: number + 0 * sum(range(2000))))

    with repeated_alarm() as alarm:
        for number in range(400):
            try:
                alarm.is_armed = True
                assert made.run(partial(work, number)) is None
                alarm.is_armed = False
            except Alarm:
                struck.append(number)
    assert made.run(partial(work, 400)) is None
    assert done == begun
    assert {*range(401)} - {*done} <= {*struck}
    assert struck


def test_a_thread_that_has_ended_is_not_waited_for() -> None:
    done: list[str] = []
    go_on, over = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(60)
        done.append(in_caller(lambda: "read"))
        over.set()

    def begin() -> None:
        mine = executor()
        mine.run(work, seconds=0.0)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    go_on.set()
    assert over.wait(60)
    assert done == ["read"]


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    prelude = f"""
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
sys.path.insert(0, {str(ROOT)!r})
from uploader.recording.serial_executor import executor, in_caller, run_uninterrupted
"""
    return subprocess.run([sys.executable, "-c", prelude + code], timeout=60, capture_output=True, text=True)


def test_a_process_that_ends_waits_for_what_was_interrupted_until_that_is_interrupted_too() -> None:
    code = """
released = threading.Event()
def work():
    os.kill(os.getpid(), signal.SIGINT)
    released.wait()
    print("done")
def release():
    try:
        threading.main_thread().join()  # up to Python 3.12 it may raise where two threads see the end at once
    finally:
        released.set()
threading.Thread(target=release, daemon=True).start()
executor().run(work)
"""
    ended = in_a_process(code)
    assert ended.stdout == "done\n", ended.stderr
    assert "KeyboardInterrupt" in ended.stderr
    code = """
import atexit
atexit.register(print, "the rest of what runs at exit")
def work():
    os.kill(os.getpid(), signal.SIGINT)
    threading.main_thread().join()
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()
executor().run(work)
"""
    ended = in_a_process(code)
    assert ended.stdout == "the rest of what runs at exit\n", ended.stderr


def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    code = """
def fork():
    global child
    child = os.fork()
    if not child:
        executor().run(lambda: print("of the child", flush=True))
        os._exit(0)
begun, over = threading.Event(), threading.Event()
worker = threading.Thread(target=lambda: executor().run(lambda: (begun.set(), over.wait())))
worker.start()
begun.wait()
fork()
status = os.waitpid(child, 0)[1]
over.set()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    ended = in_a_process(code)
    assert (ended.returncode, ended.stdout) == (0, "of the child\n"), ended.stderr


FORKED = """
import warnings
parent, child = os.getpid(), None
def fork(*_):
    global child
    with warnings.catch_warnings():  # Python 3.12 warns of what is tested here
        warnings.simplefilter("ignore")
        child = os.fork()
def end():
    if os.getpid() != parent:
        print("next", run_uninterrupted(lambda: "of the child"), flush=True)
        os._exit(7)
    assert run_uninterrupted(lambda: "next") == "next"
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_a_piece_forks_waits_no_longer_and_goes_on() -> None:
    code = """
print(run_uninterrupted(lambda: (in_caller(fork), "done")[1]), flush=True)
end()
"""
    ended = in_a_process(FORKED + code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split("\n")) == ["", "7", "None", "done", "next of the child"]


def test_a_child_that_a_signal_handler_forks_waits_no_longer_and_goes_on() -> None:
    code = """
signal.signal(signal.SIGALRM, fork)
def work():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
    while child is None:
        pass
    return "done"
print(run_uninterrupted(work), flush=True)
end()
"""
    ended = in_a_process(FORKED + code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split("\n")) == ["", "7", "None", "done", "next of the child"]


def test_a_child_that_is_forked_meanwhile_neither_logs_nor_ends_what_is_its_parents() -> None:
    code = """
import logging
logging.basicConfig(format="%(message)s", stream=sys.stdout)
class Left(BaseException): pass
def leave():
    fork()
    if not child:
        raise Left
def hurry():
    print("hurried", flush=True)
try:
    executor().run(lambda: (in_caller(leave), logging.getLogger("uploader").warning("logged")), hurry)
except Left:
    pass
end()
"""
    ended = in_a_process(FORKED + code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split("\n")) == ["", "7", "logged", "next of the child"]


def test_a_child_that_is_forked_while_a_thread_starts_waits_for_none() -> None:
    code = """
name = "_start_new_thread" if hasattr(threading, "_start_new_thread") else "_start_joinable_thread"
start = getattr(threading, name)
def fork_and_start(*arguments, **options):
    if child is None:
        fork()
        if child == 0:
            return  # forked when the thread was just begun: it is its parent's
    return start(*arguments, **options)
setattr(threading, name, fork_and_start)
print(run_uninterrupted(lambda: "done"), flush=True)
end()
"""
    ended = in_a_process(FORKED + code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split("\n")) == ["", "7", "None", "done", "next of the child"]


def test_a_child_logs_nothing_of_its_parents() -> None:
    code = """
import logging
mine = executor()
class Handler(logging.Handler):
    def emit(self, record):
        if record.getMessage() == "first":
            while not mine._deferred_logs:
                pass
            fork()
        else:
            print(record.getMessage(), flush=True)
logger = logging.getLogger("uploader")
logger.addHandler(Handler())
run_uninterrupted(lambda: (logger.warning("first"), logger.warning("second")))
end()
"""
    ended = in_a_process(FORKED + code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split("\n")) == ["", "7", "next of the child", "second"]


def test_work_that_comes_when_modules_are_torn_down_is_done_by_the_thread_that_has_it() -> None:
    code = """
def generate(run=run_uninterrupted, write=os.write):
    try:
        yield
    finally:
        write(1, b"of a generator\\n")
        run(lambda: write(1, b"done\\n"))
generator = generate()
next(generator)
"""
    ended = in_a_process(code)
    assert ended.stdout == "of a generator\ndone\n", ended.stderr


def test_a_thread_that_is_kept_does_all_the_work_until_it_is_let_go(made: SerialExecutor) -> None:
    threads: list[threading.Thread] = []

    def note() -> None:
        threads.append(threading.current_thread())

    made.keep_thread()
    for _ in range(3):
        made.run(note)
    assert len({*threads}) == 1
    made.run(made.let_thread_go)
    threads[0].join(60)
    assert not threads[0].is_alive()


def test_a_kept_thread_that_has_nothing_to_do_is_let_go(made: SerialExecutor) -> None:
    threads: list[threading.Thread] = []
    made.keep_thread()
    made.keep_thread()
    made.run(lambda: threads.append(threading.current_thread()))
    made.let_thread_go()
    made.run(lambda: threads.append(threading.current_thread()))
    made.let_thread_go()
    threads[0].join(60)
    assert not threads[0].is_alive()
    assert threads[0] is threads[1]


def test_the_work_knows_since_when_it_is_waited_for(made: SerialExecutor) -> None:
    told: list[float | None] = []

    def work() -> None:
        told.append(callback_begun_at())
        another = threading.Thread(target=lambda: (bind_thread(made), told.append(callback_begun_at())))
        another.start()  # nobody waits for it
        another.join()

    before = time.monotonic()
    made.run(work)
    assert told[0] is not None
    assert before <= told[0] <= time.monotonic()
    assert [told[1], callback_begun_at()] == [None, None]


def test_no_thread_is_left(made: SerialExecutor) -> None:
    threads: list[Any] = []
    made.run(lambda: threads.append(threading.current_thread()))
    threads[0].join(60)
    assert not threads[0].is_alive()
