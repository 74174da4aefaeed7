"""Makes chunks of what any program prints: complete lines, each with its time; of a progress bar its last frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from uploader.console_chunks import folded
from uploader.live.console_capture import LINES_PER_CHUNK, Put

_LONGEST_LINE = 64 * 1024
"""A line that goes on for longer is taken as it is: a program may print without ever ending a line."""


class LineChunks:
    """Makes chunks of five lines, and of what waits when it is told to.

    Args:
        put: Takes the chunks.
        now: The time of a line.
    """

    def __init__(self, put: Put, now: Callable[[], datetime] = datetime.now) -> None:
        self._put = put
        self._now = now
        self._next_id = int(time.time() * 1000)  # so that a resumed run's chunks come after those before it
        self._rest = ""
        self._lines: list[str] = []
        self._told_frame = ""

    def give(self, text: str, bar: object, printed_at: float) -> None:
        """Take a single write; what follows its last line break waits for the rest of its line."""
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], ""
        self._rest = self._rest if self._rest.endswith("\r") else folded(self._rest)[0] if self._rest else ""
        shown = (line.rstrip() for line in folded("\n".join(lines)))
        self._lines += [f"[{self._now():%Y-%m-%d %H:%M:%S}] {line}" for line in shown if line]
        while len(self._lines) >= LINES_PER_CHUNK:
            self._make(self._lines[:LINES_PER_CHUNK], {})
            del self._lines[:LINES_PER_CHUNK]

    def flush(self) -> None:
        """Make a chunk of the lines that wait, and of the frame of a progress bar, which is a line without an end."""
        frame = self._rest.strip()
        if self._lines or frame != self._told_frame:
            self._make(self._lines, {"0": frame} if frame else {})
            self._lines, self._told_frame = [], frame

    def end(self) -> None:
        """Make a chunk of the rest."""
        if self._rest.strip():
            self.give("\n", None, 0.0)
        self.flush()

    def _make(self, lines: list[str], progress: dict[str, str]) -> None:
        self._put("\n".join(lines), len(lines), self._next_id, progress)
        self._next_id += 1
