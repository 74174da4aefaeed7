from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from uploader.callbacks.console import LONGEST_CHUNK, Chunk, ConsoleCapture, join_chunks

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
        """Return the lines without their times."""
        return [line.partition("] ")[2] for chunk in self.taken for line in chunk.content.splitlines()]


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


def test_a_timer_that_was_under_way_while_the_capture_stopped_loses_nothing(
    capture: ConsoleCapture, chunks: Chunks
) -> None:
    capture.start()
    flush = capture._logger.on_flush
    capture.stop()
    flush("[time] late", 1, 7)
    assert chunks.lines() == ["late"]


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
    assert len(chunks.taken) == 2  # what waited went as one


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
    assert capture._logger.last_line.endswith("after")
