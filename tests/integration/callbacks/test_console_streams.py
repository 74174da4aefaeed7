"""Whoever uses stdout and stderr while they are listened to finds them as they were; afterwards, too, in any order."""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import io
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.alarms import Alarm, raising_on_alarm

from uploader.live.console_streams import STREAMS, TeeStream

ROOT = Path(__file__).parents[3]


class Heard:
    """What one listener was told."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, text: str, bar: object) -> None:
        self.text += text


class Process:
    """A process with streams of its own, which are files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out = (folder / "out").open("w", encoding="latin-1", errors="replace")
        self.err = (folder / "err").open("w")
        self._patch = monkeypatch
        self._listeners: list[Any] = []

    def begin(self, **streams: Any) -> None:
        """Put its streams in their places; called by the test itself, since pytest puts its own there before."""
        for name, stream in {"stdout": self.out, "stderr": self.err, **streams}.items():
            self._patch.setattr(sys, name, stream)

    def listen(self, listener: Any = None) -> Any:
        """Begin to listen, and return the listener."""
        self._listeners.append(Heard() if listener is None else listener)
        STREAMS.add_listener(self._listeners[-1])
        return self._listeners[-1]

    def written(self) -> str:
        """Return what was written to its stdout."""
        self.out.flush()
        return Path(self.out.name).read_text()

    def end(self) -> None:
        for listener in self._listeners:
            STREAMS.remove_listener(listener)
        self.out.close()
        self.err.close()


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    made = Process(tmp_path, monkeypatch)
    yield made
    made.end()


USES: dict[str, Callable[[Any], Any]] = {
    "fileno": lambda stream: stream.fileno(),
    "encoding": lambda stream: stream.encoding,
    "errors": lambda stream: stream.errors,
    "newlines": lambda stream: stream.newlines,
    "line_buffering": lambda stream: stream.line_buffering,
    "mode": lambda stream: stream.mode,
    "name": lambda stream: stream.name,
    "closed": lambda stream: stream.closed,
    "isatty": lambda stream: stream.isatty(),
    "buffer": lambda stream: stream.buffer,
    "writable": lambda stream: stream.writable(),
    "what a write returns": lambda stream: stream.write("four"),
    "tell": lambda stream: (stream.flush(), stream.tell()),
    "reconfigured": lambda stream: (stream.reconfigure(errors="strict"), stream.errors),
    "its class": lambda stream: (isinstance(stream, io.TextIOWrapper), isinstance(stream, io.StringIO)),
    "its text": repr,
    "its names": dir,
    "an attribute that it has not": lambda stream: hasattr(stream, "set_parent"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_stream_is_used_as_if_nobody_listened(use: Any, process: Process) -> None:
    expected = use(process.out)
    process.out.seek(0)
    process.begin()
    process.listen()
    assert type(sys.stdout) is TeeStream
    assert use(sys.stdout) == expected


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda stream: stream.write(b"bytes"), TypeError),
        (lambda stream: stream.nothing_of_the_kind, AttributeError),
        (lambda stream: stream.read(), io.UnsupportedOperation),
        (lambda stream: next(stream), io.UnsupportedOperation),
        (copy.deepcopy, TypeError),
        (lambda stream: (stream.close(), stream.write("after its end")), ValueError),
    ],
)
def test_what_fails_at_a_stream_fails_alike(use: Any, error: type[Exception], process: Process) -> None:
    process.begin()
    process.listen()
    with pytest.raises(error):
        use(sys.stdout)


def test_other_programs_and_the_interpreter_itself_write_to_it(process: Process) -> None:
    process.begin()
    process.listen()
    subprocess.run([sys.executable, "-c", "print('of a child')"], stdout=sys.stdout, check=True)
    faulthandler.dump_traceback(sys.stdout)
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.writelines(line for line in ["one\n", "two\n"])
    written = process.written()
    assert written.startswith("of a child\n")
    assert "most recent call first" in written
    assert written.endswith("bytes\none\ntwo\n")


def test_what_is_written_is_told_with_the_bar_that_it_is_a_frame_of(process: Process) -> None:
    told: list[tuple[str, object]] = []
    process.begin()
    process.listen(lambda text, bar: told.append((text, bar)))
    stdout: Any = sys.stdout
    stdout.write("text")
    stdout.progress(7, "10%")
    sys.stderr.writelines(["more"])
    assert told == [("text", None), ("10%", 7), ("more", None)]


def test_as_a_context_it_closes_the_stream(process: Process) -> None:
    process.begin()
    process.listen()
    with sys.stdout as stream:
        assert stream is sys.stdout
    assert process.out.closed


def test_a_stream_for_both_stays_one(process: Process) -> None:
    process.begin(stderr=process.out)
    heard = process.listen()
    assert sys.stdout is sys.stderr
    print("once", file=sys.stderr)
    STREAMS.remove_listener(heard)
    assert sys.stdout is sys.stderr is process.out
    assert heard.text == "once\n"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_none_stays_none(name: str, process: Process) -> None:
    process.begin(**{name: None})
    heard = process.listen()
    assert getattr(sys, name) is None
    print("heard", file=sys.stderr if name == "stdout" else sys.stdout)
    STREAMS.remove_listener(heard)
    assert getattr(sys, name) is None
    assert heard.text == "heard\n"


@pytest.mark.parametrize("first", [0, 1])
def test_two_who_listen_stop_in_any_order(first: int, process: Process) -> None:
    process.begin()
    both = [process.listen(), process.listen()]
    print("both")
    STREAMS.remove_listener(both[first])
    print("one")
    STREAMS.remove_listener(both[1 - first])
    assert sys.stdout is process.out
    print("nobody")
    assert both[first].text == "both\n"
    assert both[1 - first].text == "both\none\n"


def test_threads_that_start_and_stop_at_once_leave_nothing_behind(process: Process) -> None:
    def listen_often() -> None:
        for _ in range(200):
            heard = Heard()
            STREAMS.add_listener(heard)
            print("x")
            STREAMS.remove_listener(heard)

    process.begin()
    threads = [threading.Thread(target=listen_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is process.out


def test_a_stream_that_somebody_put_there_meanwhile_stays(process: Process) -> None:
    process.begin()
    heard = process.listen()
    theirs = io.StringIO()
    sys.stdout = theirs
    STREAMS.remove_listener(heard)
    assert sys.stdout is theirs


def test_a_redirection_that_outlives_us_gives_back_the_stream_itself(process: Process) -> None:
    process.begin()
    heard = process.listen()
    with contextlib.redirect_stdout(io.StringIO()) as theirs:
        STREAMS.remove_listener(heard)
        print("redirected")
    print("back")  # what it gave back was ours
    assert sys.stdout is process.out
    assert (theirs.getvalue(), heard.text) == ("redirected\n", "")


def test_a_redirection_that_we_outlive_is_given_back_by_itself(process: Process) -> None:
    process.begin()
    with contextlib.redirect_stdout(io.StringIO()) as theirs:
        heard = process.listen()
        print("heard")
    assert sys.stdout is process.out
    STREAMS.remove_listener(heard)
    assert sys.stdout is process.out
    assert theirs.getvalue() == heard.text == "heard\n"


def test_a_wrapper_between_two_who_listen_keeps_its_place(process: Process) -> None:
    class Wrapper:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def write(self, text: str) -> int:
            return int(self.stream.write(text.upper()))

    process.begin()
    below = process.listen()
    wrapper: Any = Wrapper(sys.stdout)
    sys.stdout = wrapper
    above = process.listen()
    print("both")
    STREAMS.remove_listener(below)
    print("one")
    STREAMS.remove_listener(above)
    assert sys.stdout is wrapper
    print("nobody")
    assert process.written() == "BOTH\nONE\nNOBODY\n"
    assert (below.text, above.text) == ("BOTH\n", "both\none\n")


def test_a_method_that_somebody_put_on_the_stream_is_not_lost(process: Process) -> None:
    """As other trackers do, which keep the stream's `write` and put one of their own there."""
    process.begin()
    heard = process.listen()
    stream: Any = sys.stdout
    theirs: list[str] = []
    before = stream.write
    stream.write = lambda text: (theirs.append(text), before(text))[1]
    print("one")
    STREAMS.remove_listener(heard)
    print("two")
    assert "".join(theirs) == "one\ntwo\n"
    stream.write = before
    print("three")
    assert sys.stdout is process.out
    assert process.written() == "one\ntwo\nthree\n"
    assert heard.text == "one\n"


def test_other_attributes_are_set_at_the_stream(process: Process) -> None:
    process.begin()
    heard = process.listen()
    stream: Any = sys.stdout
    stream.parent_header, stream.mark = 7, 8
    del stream.mark
    STREAMS.remove_listener(heard)
    assert vars(process.out)["parent_header"] == 7
    assert not hasattr(process.out, "mark")


def test_a_log_handler_that_was_made_meanwhile_goes_on(process: Process) -> None:
    process.begin()
    heard = process.listen()
    logger = logging.Logger("made meanwhile")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.warning("heard")
    STREAMS.remove_listener(heard)
    logger.warning("not heard")
    assert heard.text == "heard\n"
    assert process.written() == "heard\nnot heard\n"


def in_a_process(code: str) -> int:
    """Run code in a process of its own, which can import ours; return how it ended."""
    prelude = f"import os, sys, threading\nsys.path.insert(0, {str(ROOT)!r})\n"
    imports = "from uploader.live.console_streams import STREAMS\n"
    return subprocess.run([sys.executable, "-c", prelude + imports + code], timeout=60).returncode


def test_a_stream_is_given_back_while_another_thread_prints_to_it() -> None:
    """`print` holds no reference to `sys.stdout`: if nobody held one, this would end the process."""
    code = """
class Slow:
    def write(self, text):
        if text == "held":
            held.set()
            given_back.wait()
        return len(text)
    def flush(self):
        pass
held, given_back, listener = threading.Event(), threading.Event(), lambda text, bar: None
sys.stdout = Slow()
STREAMS.add_listener(listener)
printing = threading.Thread(target=print, args=("held",))
printing.start()
held.wait()
STREAMS.remove_listener(listener)
given_back.set()
printing.join()
"""
    assert in_a_process(code) == 0


def test_a_forked_child_tells_nobody_and_has_its_stream_back() -> None:
    code = """
before, told = sys.stdout, []
STREAMS.add_listener(lambda text, bar: told.append(text))
at_it = threading.Event()
def hold():
    with STREAMS._lock:
        at_it.set()
        threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
at_it.wait()
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("of the child")
os._exit(0 if sys.stdout is before and not told else 3)
"""
    assert in_a_process(code) == 0


def test_a_signal_handlers_exception_reaches_who_prints(process: Process) -> None:
    process.begin()
    process.listen(lambda text, bar: signal.raise_signal(signal.SIGALRM))
    with raising_on_alarm(), pytest.raises(Alarm):
        print("x")
