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
        begun: The numbers that flushes were begun with, of any file, in order.
    """

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.changed = threading.Condition()
        self.is_fast = False
        self._files: list[SlowFile] = []
        self._of: list[SlowFile] = []

    def __call__(self, descriptor: int) -> SlowFile:
        self._files.append(SlowFile(self))
        return self._files[-1]

    def note(self, file: SlowFile, number: int) -> None:
        """Note a flush that is begun; `changed` is held."""
        self.begun.append(number)
        self._of.append(file)
        if self.is_fast:
            file.synced.append(Synced(number, None))
        self.changed.notify_all()

    def wait_for_flushes(self, count: int) -> None:
        """Wait until so many flushes were begun."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, 60)

    def end(self, index: int = -1, *, fails: bool = False) -> None:
        """End a flush that was begun."""
        with self.changed:
            error = OSError(errno.EIO, "Input/output error") if fails else None
            self._of[index].synced.append(Synced(self.begun[index], error))
            self.changed.notify_all()

    def recover(self) -> None:
        """End every flush from now on, and the newest one of each file."""
        with self.changed:
            self.is_fast = True
            newest = dict(zip(self._of, self.begun, strict=True))
            for file, number in newest.items():
                file.synced.append(Synced(number, None))
            self.changed.notify_all()


class SlowFile:
    """One file on such a disk."""

    def __init__(self, disk: SlowDisk) -> None:
        self.synced: list[Synced] = []
        self._disk = disk

    def begin(self, number: int) -> None:
        with self._disk.changed:
            self._disk.note(self, number)

    def ended(self, seconds: float) -> list[Synced]:
        with self._disk.changed:
            self._disk.changed.wait_for(lambda: self.synced, seconds)
            found, self.synced = self.synced, []
            return found

    def close(self) -> None:
        pass
