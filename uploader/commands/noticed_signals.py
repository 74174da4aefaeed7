"""Signals that a command looks for where it can end well.

An exception that a handler raises strikes anywhere: in what puts something in order, which then prints it as an error,
or in a callback of the garbage collection, which swallows it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType


class NoticedSignals:
    """The signals that have come."""

    def __init__(self) -> None:
        """Know of none."""
        # No Event: the thread that the handler interrupts may hold its lock.
        self._came: SimpleQueue[int] = SimpleQueue()

    def note(self, number: int) -> None:
        """Note one; called by the handler.

        Args:
            number: Of the signal.
        """
        self._came.put(number)

    def came_within(self, seconds: float) -> bool:
        """Wait for so many seconds at most; return whether one has come.

        Args:
            seconds: 0 to look only.
        """
        try:
            self._came.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        return True

    def wait(self, seconds: float) -> None:
        """Wait for so many seconds.

        Args:
            seconds: 0 to look only.

        Raises:
            KeyboardInterrupt: One has come.
        """
        if self.came_within(seconds):
            raise KeyboardInterrupt


@contextmanager
def noticed_signals(*numbers: signal.Signals, is_second_fatal: bool) -> Iterator[NoticedSignals]:
    """Have signals noted, and do nothing else, as long as the block lasts.

    Args:
        numbers: Which.
        is_second_fatal: Whether a second one of a kind ends the process at once, as where a pipe that nobody empties
            holds the command up.
    """
    came = NoticedSignals()

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        came.note(number)
        if is_second_fatal:
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
