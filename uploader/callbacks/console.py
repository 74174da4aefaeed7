"""Captures what a training prints, in chunks that Ultralytics' own `ConsoleLogger` makes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from uploader.live.console_capture import (
    LINES_PER_CHUNK,
    LONGEST_CHUNK,
    SECONDS_PER_CHUNK,
    Chunk,
    Put,
    _Printed,
    join_chunks,
)
from uploader.live.console_capture import ConsoleCapture as Capture

__all__ = ["LONGEST_CHUNK", "Chunk", "ConsoleCapture", "UpstreamChunks", "_Printed", "join_chunks"]

_SAME_LINE_SECONDS = 0.1
"""Upstream skips a line that is repeated within this time, measured when its logger gets it."""


class UpstreamChunks:
    """Makes chunks as upstream's own streaming does: by its logger, whose streams and timer are not used.

    Raises:
        ImportError: This version of Ultralytics has no `ConsoleLogger`.
    """

    def __init__(self, put: Put) -> None:
        """Make a logger that gives its chunks to `put`."""
        from ultralytics.utils.logger import ConsoleLogger

        self._give_chunk = put
        self._printed_at = 0.0
        self.logger: Any = ConsoleLogger(
            batch_size=LINES_PER_CHUNK, flush_interval=SECONDS_PER_CHUNK, on_flush=self._put
        )
        # Older versions count from 0, and a resumed run would do so again.
        self.logger.chunk_id = max(self.logger.chunk_id, int(time.time() * 1000))
        self.logger.active = True
        self._with_bars = hasattr(self.logger, "progress")  # not in 8.3

    def give(self, text: str, bar: object, printed_at: float) -> None:
        """Take a single write."""
        if printed_at - self._printed_at >= _SAME_LINE_SECONDS:
            self.logger.last_time = 0.0  # this thread may be late: what counts is when it was printed
        self._printed_at = printed_at
        if text or bar is not None:
            self.logger._queue_log(text, *([bar] if self._with_bars else []))

    def flush(self) -> None:
        """Make a chunk of what waits."""
        self.logger._flush_buffer()

    def end(self) -> None:
        """Make a chunk of the rest."""
        if self._with_bars:
            self.logger.progress.clear()  # of bars that outlive the capture
        self.logger._flush_buffer()

    def _put(self, content: str, line_count: int, chunk_id: int) -> None:
        """Pass on a chunk of the logger's."""
        progress = dict(self.logger.progress_sent) if self._with_bars else {}
        self._give_chunk(content, line_count, chunk_id, progress)


class ConsoleCapture(Capture):
    """Captures stdout, stderr and the `ultralytics` logger from `start` to `stop`, once.

    Args:
        journal: Called with one chunk at a time, in order, from a thread of the capture.
        accepts: Returns whether what the calling thread prints is to be captured.
    """

    def __init__(self, journal: Callable[[Chunk], None], accepts: Callable[[], bool] = lambda: True) -> None:
        super().__init__(journal, accepts, UpstreamChunks, logging.getLogger("ultralytics"))

    @property
    def _logger(self) -> Any:
        """Upstream's logger."""
        maker = self._maker
        assert isinstance(maker, UpstreamChunks)
        return maker.logger
