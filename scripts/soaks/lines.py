"""Tracing our own code: calling a function before each of its lines."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import journal
import uploader

OnLine = Callable[[FrameType], object]
Line = tuple[str, int]
"""A file and a line number."""

JOURNAL = str(Path(journal.__file__).parent)
UPLOADER = str(Path(uploader.__file__).parent)
LOCAL_PLATFORM = str(Path(UPLOADER, "server"))


@contextmanager
def tracing(on_line: OnLine, *folders: str, but: str = "-") -> Iterator[None]:
    """Call a function before each line of Python below some folders, in this thread and those that it starts.

    Args:
        on_line: The function.
        folders: Folders of the code to trace.
        but: A folder among them to leave out.
    """

    def at_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            on_line(frame)
        return at_line

    def at_call(frame: FrameType, _: str, __: Any) -> Any:
        file = frame.f_code.co_filename
        return at_line if file.startswith(folders) and not file.startswith(but) else None

    threading.settrace(at_call)
    sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


def line_of(frame: FrameType) -> Line:
    """Return the line that is about to run."""
    return frame.f_code.co_filename, frame.f_lineno


class LineCount:
    """Counts how often each line runs."""

    def __init__(self) -> None:
        """Start without counts."""
        self.lines: Counter[Line] = Counter()

    def __call__(self, frame: FrameType) -> None:
        """Count a line."""
        self.lines[line_of(frame)] += 1


@dataclass
class DieAtLine:
    """Kills the process before the n-th execution of a line or, without a line, before the n-th line of all.

    Attributes:
        times: The number n.
        line: The line, or None.
    """

    times: int
    line: Line | None = None

    def __call__(self, frame: FrameType) -> None:
        """Count an execution, and kill the process if it is the n-th."""
        if self.line is None or self.line == line_of(frame):
            self.times -= 1
            if self.times <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
