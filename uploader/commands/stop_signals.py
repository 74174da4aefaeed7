"""What SIGINT and SIGTERM do to a drain, from its first step to its last.

The first one ends it well: taking in is broken off, and drains finish what they have begun. A second one of the same
kind ends the process.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uploader.delivery.drain import Drain


class StopSignals:
    """Hears the signals as long as `heard` lasts.

    Attributes:
        has_come: Whether one has come.
    """

    def __init__(self) -> None:
        """Know of none, and of no drain."""
        self.has_come = False
        self._breaks_off = False
        self._drains: Sequence[Drain] = ()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear signals as long as the block lasts."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def break_off(self, work: Callable[[], None]) -> None:
        """Do something that a signal ends wherever it strikes, and not at all if one has come.

        Args:
            work: Is left by an exception, which is its own to clean up after.
        """
        try:
            try:
                self._breaks_off = True
                if not self.has_come:
                    work()
            finally:
                self._breaks_off = False
        except _Stopped:
            self._breaks_off = False  # it may have struck in the `finally`

    def stop(self, drains: Sequence[Drain]) -> None:
        """Have a signal stop drains, also one that has come already.

        Args:
            drains: All that are to run.
        """
        self._drains = drains
        if self.has_come:
            self._stop()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        self.has_come = True
        self._stop()
        if self._breaks_off:
            raise _Stopped

    def _stop(self) -> None:
        for drain in self._drains:
            drain.stop()


class _Stopped(BaseException):
    """A person wants the command to end."""
