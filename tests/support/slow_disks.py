"""A disk whose flushes end when the test says so: nothing here can make a real one hang, and let it go on.

Only the flush is replaced, not what is written, nor what decides who waits for it.
"""

from __future__ import annotations

import errno
import threading

from journal.storage.background_sync import Synced


class SlowDisk:
    """Takes the place of `background_sync`.

    Attributes:
        begun: The numbers that flushes were begun with, in order.
    """

    def __init__(self) -> None:
        self.begun: list[int] = []
        self._ended: list[Synced] = []
        self._changed = threading.Condition()
        self._is_fast = False

    def __call__(self, descriptor: int) -> SlowDisk:
        return self

    def begin(self, number: int) -> None:
        with self._changed:
            self.begun.append(number)
            if self._is_fast:
                self._ended.append(Synced(number, None))
            self._changed.notify_all()

    def ended(self, seconds: float) -> list[Synced]:
        with self._changed:
            self._changed.wait_for(lambda: self._ended, seconds)
            found, self._ended = self._ended, []
            return found

    def close(self) -> None:
        pass

    def wait_for_flushes(self, count: int) -> None:
        """Wait until so many flushes were begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= count, 60)

    def end(self, index: int = -1, *, fails: bool = False) -> None:
        """End a flush that was begun."""
        with self._changed:
            error = OSError(errno.EIO, "Input/output error") if fails else None
            self._ended.append(Synced(self.begun[index], error))
            self._changed.notify_all()

    def recover(self) -> None:
        """End every flush from now on, and the newest one."""
        with self._changed:
            self._is_fast = True
            if self.begun:
                self._ended.append(Synced(self.begun[-1], None))
            self._changed.notify_all()
