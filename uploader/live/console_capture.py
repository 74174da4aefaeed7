"""Captures what a run prints, in chunks of five lines or five seconds.

Whoever prints only puts the text into a queue, which none of their locks, errors or signal handlers can disturb. One
thread makes chunks of it, and another journals them: the first never waits for the disk, so that each line gets the
time at which it was printed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from journal.writing.payloads import cut_text
from uploader.console_chunks import chunk_payload, joined
from uploader.live.console_streams import STREAMS
from uploader.recording.serial_executor import bind_thread, executor, in_caller

LOGGER = logging.getLogger("uploader")

LINES_PER_CHUNK = 5
SECONDS_PER_CHUNK = 5.0
LONGEST_CHUNK = 64 * 1024
"""Most characters of text in a chunk."""
LONGEST_WRITE = 1024 * 1024
"""A single write that is longer is cut to half a chunk, as nobody reads more."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive lines of the console.

    Attributes:
        id: Grows with each chunk; starts at the time in ms, so that a resumed run's chunks come after.
        content: The lines, each with its time, joined by newlines; empty when only progress moved.
        lines: How many.
        progress: The newest frame of each live progress bar, by the bar's id.
    """

    id: int
    content: str
    lines: int
    progress: Mapping[str, str]

    def payload(self) -> dict[str, Any]:
        """Return the data of the platform's `console_output` event."""
        return chunk_payload(self.id, self.content, self.lines, self.progress)


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """Return consecutive chunks as one: the first's id, all lines, the last's progress."""
    chunk = joined([chunk.payload() for chunk in chunks])
    return Chunk(chunk["chunkId"], chunk["content"], chunk["lineCount"], chunk["progress"])


class ChunkMaker(Protocol):
    """Makes chunks of what is printed; used by one thread."""

    def give(self, text: str, bar: object, printed_at: float) -> None:
        """Take a single write; see `_Printed`."""
        ...

    def flush(self) -> None:
        """Make a chunk of what waits."""
        ...

    def end(self) -> None:
        """Make a chunk of the rest; progress bars that go on belong to nobody now."""
        ...


Put = Callable[[str, int, int, Mapping[str, str]], None]
"""Takes the parts of a chunk: content, number of lines, id, progress."""


class ConsoleCapture:
    """Captures stdout, stderr and a logger from `start` to `stop`, once.

    Args:
        journal: Called with one chunk at a time, in order, from a thread of the capture.
        accepts: Returns whether what the calling thread prints is to be captured.
        make: Returns what makes the chunks, which gives each to the function that it is called with.
        logger: Its records are captured, too; None where they are printed in any case.
    """

    def __init__(
        self,
        journal: Callable[[Chunk], None],
        accepts: Callable[[], bool],
        make: Callable[[Put], ChunkMaker],
        logger: logging.Logger | None = None,
        formatter: logging.Formatter | None = None,
    ) -> None:
        self._journal = journal
        self._accepts = accepts
        self._make = make
        self._listened_to = logger
        self._afterwards: Callable[[], object] = lambda: None
        self._is_open = False
        self._executor = executor()
        self._printed: queue.SimpleQueue[_Printed | None] = queue.SimpleQueue()
        self._chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._handler = _LogHandler(self._receive)
        self._handler.setFormatter(formatter)
        self._threads = [
            threading.Thread(target=self._make_chunks, name="uploader-console", daemon=True),
            threading.Thread(target=self._run, name="uploader-console-journal", daemon=True),
        ]

    def start(self) -> None:
        """Begin to capture.

        Raises:
            ImportError: What makes the chunks cannot be imported.
        """
        self._maker = self._make(self._put)
        for thread in self._threads:
            thread.start()
        in_caller(self._executor.emit_logs)  # what was logged before is no part of what is captured
        self._is_open = True
        _running.add(self)
        STREAMS.add_listener(self._receive)
        if self._listened_to is not None:
            self._listened_to.addHandler(self._handler)

    def stop(self) -> None:
        """Restore the streams and return when every chunk is journaled; does nothing when not capturing."""
        if not self._is_open:
            return
        in_caller(self._executor.emit_logs)  # as long as it is heard
        self._is_open = False
        STREAMS.remove_listener(self._receive)
        if self._listened_to is not None:
            self._listened_to.removeHandler(self._handler)
        _running.discard(self)
        self._printed.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def stop_later(self, afterwards: Callable[[], object]) -> None:
        """Have a thread of the capture stop it and then call `afterwards`.

        The garbage collector calls this in the middle of anything, so nothing here waits or takes a lock.
        """
        if self._is_open:
            self._afterwards = afterwards
            self._printed.put(None)

    def reset_in_child(self) -> None:
        """Stop capturing in a forked child, whose output is not the run's and which has none of the threads."""
        self._is_open = False

    def _receive(self, text: str, bar: object) -> None:
        """Queue what any thread printed; nothing here can fail or wait, and it is reentrant."""
        if self._is_open and self._accepts():
            taken = text if len(text) <= LONGEST_WRITE else cut_text(text, LONGEST_CHUNK // 2)
            self._printed.put(_Printed(taken, bar, time.monotonic()))

    def _make_chunks(self) -> None:
        """Make chunks until `stop`; whatever ends this thread ends the other one, too, so that nobody waits for it."""
        bind_thread(self._executor)
        try:
            self._take_all()
        finally:
            self._chunks.put(None)
        try:
            self._afterwards()
        except Exception:  # nobody else would notice
            LOGGER.exception("A training that nobody holds any more was not ended in the journal")

    def _take_all(self) -> None:
        """Give the maker what is printed, and have it make a chunk of what waits now and then, until `stop`."""
        flush_at = time.monotonic() + SECONDS_PER_CHUNK
        while (printed := self._next(flush_at)) is not None:
            try:
                if time.monotonic() >= flush_at:
                    flush_at = time.monotonic() + SECONDS_PER_CHUNK
                    self._maker.flush()
                self._maker.give(printed.text, printed.bar, printed.at)
            except Exception:  # somebody's logger cannot handle a text; it may handle the next ones
                LOGGER.debug("something printed was not recorded", exc_info=True)
        self._maker.end()

    def _next(self, until: float) -> _Printed | None:
        """Return what was printed next, or nothing at all once `until` has come."""
        try:
            return self._printed.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return _NOTHING

    def _put(self, content: str, lines: int, chunk_id: int, progress: Mapping[str, str]) -> None:
        """Queue a chunk."""
        self._chunks.put(Chunk(chunk_id, cut_text(content, LONGEST_CHUNK), lines, progress))

    def _run(self) -> None:
        """Journal chunks until `stop`. Waiting chunks are joined, so that a slow disk does not fall behind."""
        bind_thread(self._executor)
        while (chunk := self._chunks.get()) is not None:
            if self._journal_waiting(chunk):
                return

    def _journal_waiting(self, *chunks: Chunk) -> bool:
        """Journal the given chunks and all that wait; True when the end was among them."""
        waiting: list[Chunk | None] = [*chunks]
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.append(self._chunks.get_nowait())
        if present := [chunk for chunk in waiting if chunk is not None]:
            self._journal(join_chunks(present))
        return None in waiting


@dataclass(frozen=True)
class _Printed:
    """A single write to the console.

    Attributes:
        text: The text.
        bar: Id of the progress bar that it is a frame of; None for other text.
        at: The time on the monotonic clock.
    """

    text: str
    bar: object
    at: float


_NOTHING = _Printed("", None, 0.0)


class _LogHandler(logging.Handler):
    """Passes on what is logged, and skips a record that cannot be formatted."""

    def __init__(self, hear: Callable[[str, object], None]) -> None:
        super().__init__()
        self._receive = hear

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record; the handler that shows it reports one that cannot be formatted."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001  whatever somebody's arguments raise
            return
        self._receive(f"{text}\n", None)


_running: set[ConsoleCapture] = set()


def _leave_child() -> None:
    for capture in _running:
        capture.reset_in_child()
    _running.clear()


os.register_at_fork(after_in_child=_leave_child)
