"""What a training prints, in chunks of five lines or five seconds, captured by Ultralytics' own `ConsoleLogger`.

Chunks are journaled by a thread of their own: whoever prints may hold the lock of a log handler, and would otherwise
wait for the disk with it, or for itself when journaling has something to log.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journal.payloads import cut_text

LINES_PER_CHUNK = 5
SECONDS_PER_CHUNK = 5.0
LONGEST_CHUNK = 64 * 1024
"""Most characters of text in a chunk."""
LONGEST_WRITE = 1024 * 1024
"""Most characters that are taken of what is printed at once; of more, half a chunk is: no person reads that."""


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
        return {
            "chunkId": self.id,
            "content": self.content,
            "lineCount": self.lines,
            "progress": dict(self.progress),
        }


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """Return consecutive chunks as one: the first's id, all lines, the last's progress."""
    content = "\n".join(chunk.content for chunk in chunks if chunk.lines)
    return Chunk(chunks[0].id, content, sum(chunk.lines for chunk in chunks), chunks[-1].progress)


class ConsoleCapture:
    """Captures stdout, stderr and the `ultralytics` logger from `start` to `stop`, once.

    Args:
        journal: Called with one chunk at a time, in order, from a thread of the capture.
    """

    def __init__(self, journal: Callable[[Chunk], None]) -> None:
        self._journal = journal
        self._logger: Any = None
        self._queue: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="uploader-console", daemon=True)
        self._stopped = False

    def start(self) -> None:
        """Begin to capture.

        Raises:
            ImportError: This version of Ultralytics has no `ConsoleLogger`.
        """
        logger = _console_logger()(batch_size=LINES_PER_CHUNK, flush_interval=SECONDS_PER_CHUNK, on_flush=self._put)
        # Older versions count from 0, which a resumed run would do again.
        logger.chunk_id = max(logger.chunk_id, int(time.time() * 1000))
        self._thread.start()
        self._logger = logger
        _running.add(self)
        logger.start_capture()

    def stop(self) -> None:
        """Give the streams back and return when every chunk is journaled; harmless when not capturing."""
        if self._logger is None or self._stopped:
            return
        self._logger.stop_capture()
        _running.discard(self)
        self._stopped = True
        self._queue.put(None)
        self._thread.join()

    def leave(self) -> None:
        """Let a forked child print as before: its lines are not the run's, and the thread did not come along."""
        self._logger.active = False

    def _put(self, content: str, line_count: int, chunk_id: int) -> None:
        """Take a chunk from whichever thread printed its last line, or from the logger's timer."""
        progress = getattr(self._logger, "progress_sent", {})  # not in 8.3
        self._queue.put(Chunk(chunk_id, cut_text(content, LONGEST_CHUNK), line_count, dict(progress)))
        if self._stopped:  # the timer was under way while the capture stopped
            self._journal_waiting()

    def _run(self) -> None:
        """Journal chunks until `stop`. Those that wait go as one, so that a slow disk does not fall behind."""
        while (chunk := self._queue.get()) is not None:
            if self._journal_waiting(chunk):
                return

    def _journal_waiting(self, *chunks: Chunk) -> bool:
        """Journal the given chunks and all that wait; True when the end was among them."""
        waiting: list[Chunk | None] = [*chunks]
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.append(self._queue.get_nowait())
        if present := [chunk for chunk in waiting if chunk is not None]:
            self._journal(join_chunks(present))
        return None in waiting


def _console_logger() -> Any:
    """Return upstream's logger, made to take the beginning of what is too long."""
    from ultralytics.utils.logger import ConsoleLogger

    class Bounded(ConsoleLogger):  # type: ignore[misc]
        """Keeps no copies of what is too long; versions differ in what they pass along with the text."""

        def _queue_log(self, text: str, *bar: Any) -> None:
            taken = text if len(text) <= LONGEST_WRITE else cut_text(text, LONGEST_CHUNK // 2)
            super()._queue_log(taken, *bar)

    return Bounded


_running: set[ConsoleCapture] = set()


def _leave_child() -> None:
    for capture in _running:
        capture.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_child)
