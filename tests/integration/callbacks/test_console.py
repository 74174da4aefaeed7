from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.alarms import on_alarm
from support.threads import left_threads

from uploader.callbacks.console import LONGEST_CHUNK, Chunk, ConsoleCapture, _Printed, join_chunks
from uploader.recording.serial_executor import executor

pytestmark = pytest.mark.usefixtures("ultralytics")


class Chunks:
    """What a capture hands over, with a gate that stands for a slow disk."""

    def __init__(self) -> None:
        self.taken: list[Chunk] = []
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()

    def __call__(self, chunk: Chunk) -> None:
        self.arrived.set()
        assert self.gate.wait(60)
        self.taken.append(chunk)

    def lines(self) -> list[str]:
        """Return the lines without their times, and without the empty ones that older versions make of each `print`."""
        lines = [line.partition("] ")[2] for chunk in self.taken for line in chunk.content.splitlines()]
        return [line for line in lines if line]


@pytest.fixture
def chunks() -> Chunks:
    return Chunks()


@pytest.fixture
def capture(chunks: Chunks) -> Iterator[ConsoleCapture]:
    made = ConsoleCapture(chunks)
    yield made
    chunks.gate.set()
    made.stop()


def test_lines_come_in_chunks_of_five_with_growing_ids(capture: ConsoleCapture, chunks: Chunks) -> None:
    capture.start()
    for number in range(12):
        print(f"line {number}")
    capture.stop()
    assert chunks.lines() == [f"line {number}" for number in range(12)]
    assert sum(chunk.lines for chunk in chunks.taken) == 12
    ids = [chunk.id for chunk in chunks.taken]
    assert ids == sorted(set(ids))


def test_stdout_stderr_and_the_librarys_logger_are_captured(capture: ConsoleCapture, chunks: Chunks) -> None:
    from ultralytics.utils import LOGGER

    capture.start()
    print("out")
    print("err", file=sys.stderr)
    LOGGER.info("log")
    capture.stop()
    assert chunks.lines() == ["out", "err", "log"]


def test_afterwards_the_streams_are_as_before(capture: ConsoleCapture, chunks: Chunks) -> None:
    from ultralytics.utils import LOGGER

    before = sys.stdout, sys.stderr, list(LOGGER.handlers)
    capture.start()
    assert sys.stdout is not before[0]
    capture.stop()
    assert (sys.stdout, sys.stderr, list(LOGGER.handlers)) == before
    capture.stop()
    print("after")
    assert chunks.taken == []


def test_a_slow_journal_never_holds_up_who_prints(capture: ConsoleCapture, chunks: Chunks) -> None:
    chunks.gate.clear()
    capture.start()
    for number in range(5):
        print(f"line {number}")
    assert chunks.arrived.wait(60)  # the journal is busy with the first chunk
    for number in range(5, 5000):
        print(f"line {number}")  # would hang here
    chunks.gate.set()
    capture.stop()
    assert chunks.lines() == [f"line {number}" for number in range(5000)]
    assert len(chunks.taken) < 100  # what waited went as one, and there would be a thousand


def test_what_is_logged_while_journaling_is_captured_and_does_not_come_round_for_ever() -> None:
    taken: list[str] = []
    complained = threading.Event()

    def journal_and_complain(chunk: Chunk) -> None:
        taken.extend(chunk.content.splitlines())
        if not complained.is_set():  # as the recorder does, which says a thing once
            logging.getLogger("ultralytics").warning("\n".join(f"complaint {number}" for number in range(7)))
            complained.set()

    capture = ConsoleCapture(journal_and_complain)
    capture.start()
    for number in range(5):
        print(f"line {number}")
    assert complained.wait(60)
    capture.stop()
    assert len(taken) == 12
    assert sum("complaint" in line for line in taken) == 7


def test_what_was_logged_before_and_waited_is_not_captured(capture: ConsoleCapture, chunks: Chunks) -> None:
    before = logging.LogRecord("ultralytics", logging.WARNING, __file__, 1, "recording this training", (), None)
    assert executor().defer_log(before)  # as our thread does with what it says of a training that begins
    capture.start()
    print("the training")
    capture.stop()
    assert chunks.lines() == ["the training"]


def test_a_forked_child_prints_without_being_recorded(capture: ConsoleCapture, chunks: Chunks) -> None:
    capture.start()
    print("parent before")
    with capture._logger.buffer_lock:  # another thread prints at the moment of the fork: the child inherits the lock
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            for number in range(20):
                print(f"child {number}")
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("parent after")
    capture.stop()
    assert chunks.lines() == ["parent before", "parent after"]


def test_a_version_that_counts_from_nothing_gets_ids_that_a_resumed_run_does_not_repeat(
    capture: ConsoleCapture, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.utils import logger

    class Older(logger.ConsoleLogger):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.chunk_id = 0

    monkeypatch.setattr(logger, "ConsoleLogger", Older)
    capture.start()
    print("line")
    capture.stop()
    assert chunks.taken[0].id > 1_700_000_000_000


def test_a_version_without_capture_costs_only_the_console(
    capture: ConsoleCapture, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.utils import logger

    monkeypatch.delattr(logger, "ConsoleLogger")
    with pytest.raises(ImportError):
        capture.start()
    capture.stop()  # as at the end of a training
    assert chunks.taken == []


def test_a_progress_bar_is_state_until_it_closes(capture: ConsoleCapture, chunks: Chunks) -> None:
    from ultralytics.utils import TQDM

    capture.start()
    bar = TQDM(total=2, desc="bar", disable=False, mininterval=0)
    bar.update(1)
    for number in range(5):
        print(f"line {number}")
    assert chunks.arrived.wait(60)  # so that it is not joined with what comes after
    bar.update(1)
    bar.close()
    capture.stop()
    assert any("bar" in frame for frame in chunks.taken[0].progress.values())
    assert chunks.taken[-1].progress == {}
    assert sum("bar" in line for line in chunks.lines()) == 1


def test_a_chunk_is_journaled_as_the_platform_takes_it(recorder: Any, journal: Any) -> None:
    capture = ConsoleCapture(lambda chunk: recorder.event("console_output", chunk.payload(), str(chunk.id)))
    capture.start()
    print("one\ntwo")
    capture.stop()
    (payload,) = journal.events("console_output")
    assert payload.keys() == {"chunkId", "content", "lineCount", "progress"}
    assert payload["lineCount"] == 2
    assert journal.rows("SELECT key FROM events WHERE kind = 'console_output'") == [(str(payload["chunkId"]),)]


def test_joined_chunks_keep_the_first_id_all_lines_and_the_last_progress() -> None:
    chunks = [Chunk(7, "a\nb", 2, {"1": "10%"}), Chunk(8, "", 0, {"1": "50%"}), Chunk(9, "c", 1, {"1": "90%"})]
    assert join_chunks(chunks) == Chunk(7, "a\nb\nc", 3, {"1": "90%"})
    assert join_chunks(chunks[:1]) == chunks[0]


def test_a_line_without_end_is_cut_with_a_note(capture: ConsoleCapture, chunks: Chunks) -> None:
    capture.start()
    print("y" * 5_000_000)
    print("z" * 100_000)
    print("after")
    capture.stop()
    shown = "\n".join(chunk.content for chunk in chunks.taken)
    assert f"… {5_000_000 - LONGEST_CHUNK // 2} characters left out" in shown
    assert all(len(chunk.content) < LONGEST_CHUNK + 100 for chunk in chunks.taken)
    assert capture._logger.last_line.endswith("after")  # upstream's logger keeps no copy of what is long


def test_a_record_that_cannot_be_formatted_harms_nobody(capture: ConsoleCapture, chunks: Chunks) -> None:
    capture.start()
    record = logging.LogRecord("ultralytics", logging.INFO, "", 0, "%d of %d", ("one",), None)
    capture._handler.handle(record)  # upstream's raises here into whoever logs
    print("next")
    capture.stop()
    assert chunks.lines() == ["next"]


def test_a_text_that_upstreams_logger_fails_at_costs_only_itself(
    capture: ConsoleCapture, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture.start()
    take = capture._logger._queue_log

    def fail(text: str, *bar: object) -> None:
        if "strange" in text:
            raise ValueError(text)
        take(text, *bar)

    monkeypatch.setattr(capture._logger, "_queue_log", fail)
    print("strange")
    print("next")
    capture.stop()
    assert chunks.lines() == ["next"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_logger_that_fails_at_the_end_is_not_waited_for(
    capture: ConsoleCapture, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("of another version")

    capture.start()
    monkeypatch.setattr(capture._logger, "_flush_buffer", fail)
    print("line")
    capture.stop()  # would hang here
    assert left_threads("uploader-console") == []


def test_a_line_that_comes_again_later_is_there_twice_however_late_it_is_taken(
    capture: ConsoleCapture, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 0.0, 1.0, 1.0])
    capture.start()
    monkeypatch.setattr(capture, "_receive", lambda text: capture._printed.put(_Printed(text, None, next(times))))
    for _ in range(2):
        capture._receive("again")  # type: ignore[call-arg]
        capture._receive("\n")  # type: ignore[call-arg]
    monkeypatch.undo()
    capture.stop()
    assert chunks.lines() == ["again", "again"]


def test_what_belongs_to_another_training_is_not_captured(chunks: Chunks) -> None:
    is_mine = threading.local()
    capture = ConsoleCapture(chunks, lambda: hasattr(is_mine, "yes"))
    capture.start()
    print("of another")
    is_mine.yes = True
    print("of this one")
    capture.stop()
    assert chunks.lines() == ["of this one"]


@pytest.mark.parametrize("first", [0, 1])
def test_two_captures_end_in_any_order(first: int) -> None:
    before, threads = (sys.stdout, sys.stderr), threading.enumerate()
    both = [Chunks(), Chunks()]
    captures = [ConsoleCapture(chunks) for chunks in both]
    for capture in captures:
        capture.start()
    print("both")
    captures[first].stop()
    print("one")
    captures[1 - first].stop()
    assert both[first].lines() == ["both"]
    assert both[1 - first].lines() == ["both", "one"]
    assert (sys.stdout, sys.stderr) == before
    assert left_threads(besides=threads) == []


def test_a_handler_that_prints_in_the_middle_of_a_print_waits_for_nothing(
    capture: ConsoleCapture, chunks: Chunks
) -> None:
    with on_alarm(lambda *_: print("from the handler")):
        capture.start()
        with capture._logger.buffer_lock:  # of upstream's; a thread that waited for it here would wait for ever
            signal.raise_signal(signal.SIGALRM)
        capture.stop()
    assert chunks.lines() == ["from the handler"]
