"""Group commit: what many threads have written is made durable by one flush, for which each waits as long as it likes.

Whoever waits first begins a flush of all that was written until then, and waits for its end; others meanwhile wait for
their turn, and mostly find that the next flush has served them, too. Where nobody waits any longer, a thread sees to
the rest, so that a flush always follows.

A signal handler may wait while the thread under it is waiting, and an exception may end a wait anywhere. So a turn that
nobody has used for a while is anybody's, and a flush whose end was not seen is begun again: one more does no harm.
"""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from journal.storage.background_sync import Synced, background_sync

_SLICE_SECONDS = 0.25
_STALE_SECONDS = 1.0
_UNANSWERED = 4
"""At most so many flushes are begun before one of them has ended."""


class Flusher:
    """Flushes one file.

    Attributes:
        written: Number of the last write.
        flushed: Number of the last write that is durable, as far as that was asked for.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. The descriptor is kept: one that is opened later does not learn of an error before.

        Raises:
            OSError: It cannot be opened.
        """
        self.written = self.flushed = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._sync = background_sync(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._turn = threading.Lock()
        self._turn_used_at = 0.0
        self._begun = self._unanswered = 0
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None
        self._has_rest = threading.Lock()  # released to wake that thread
        self._has_rest.acquire()
        self._is_closing = False
        self._released = threading.Lock()  # held once it is

    def note(self) -> Written:
        """Number a write that has just been made; the caller keeps others from writing meanwhile."""
        self.written += 1
        return Written(self, self.written)

    def wait(self, number: int, seconds: float = math.inf) -> bool:
        """Wait until a write is durable; return whether it is.

        Args:
            number: Of the write.
            seconds: The longest wait. The flush goes on after it.

        Raises:
            OSError: A flush has failed. What was written since the last one that succeeded may be lost in a power cut,
                whatever a later flush reports.
        """
        until = time.monotonic() + seconds
        while self.flushed < number:
            if self._error is not None:
                raise self._error
            if time.monotonic() >= until:
                self._see_to_the_rest()
                return False
            self._take_turn(number, until)
        return True

    def close(self) -> None:
        """Close the file once all is flushed that was written; nobody waits for that."""
        self._is_closing = True
        is_over = self._begun <= self.flushed == self.written
        if is_over:
            self._release()
        if self._thread is not None or not is_over:
            self._see_to_the_rest()

    def _take_turn(self, number: int, until: float) -> None:
        """Begin a flush or see one end, unless another thread does so, for which this one waits."""
        turn = self._turn
        if turn.acquire(timeout=_slice(until)):
            try:
                if self.flushed < number and self._error is None:
                    self._advance(until)
            finally:
                turn.release()
        elif time.monotonic() - self._turn_used_at > _STALE_SECONDS and self._turn is turn:
            self._turn = threading.Lock()

    def _advance(self, until: float) -> None:
        self._turn_used_at = time.monotonic()
        if self._begun <= self.flushed:
            self._begin()
        if self._error is not None:  # nothing was begun whose end could come
            return
        seconds = _slice(until)  # now, as to begin a flush may take milliseconds where others have the processor
        if ended := self._sync.ended(seconds):
            self._unanswered = 0
            self._learn(ended)
        elif seconds >= _SLICE_SECONDS and self._unanswered < _UNANSWERED:
            self._begin()

    def _learn(self, ended: list[Synced]) -> None:
        for _, error in ended:
            self._error = error or self._error
        if self._error is None:
            for number, _ in ended:
                self.flushed = max(self.flushed, number)

    def _begin(self) -> None:
        number = self.written
        try:
            self._sync.begin(number)
        except BlockingIOError:  # so many are under way that one of them has to end first
            return
        except OSError as error:
            self._error = error
            return
        self._begun = number
        self._unanswered += 1

    def _see_to_the_rest(self) -> None:
        """Have a thread wait for what nobody waits for; it stays, as to start one takes longer than to wake one."""
        with suppress(RuntimeError):  # it is to wake already
            self._has_rest.release()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._catch_up, name="journal-flush-rest", daemon=True)
            with suppress(RuntimeError):  # the interpreter exits: whoever ends the journal waits
                self._thread.start()

    def _catch_up(self) -> None:
        is_last = False
        while not is_last:
            self._has_rest.acquire()
            is_last = self._is_closing  # asked before, as what was written last is to be flushed after it
            with suppress(OSError):  # raised for the next one that waits
                while self.flushed < self.written:
                    self.wait(self.written)
        self._release()

    def _release(self) -> None:
        if self._released.acquire(blocking=False):
            self._sync.close()
            os.close(self._descriptor)


def _slice(until: float) -> float:
    """Return how many seconds to wait before looking again, at most."""
    return min(max(0.0, until - time.monotonic()), _SLICE_SECONDS)


class Written(NamedTuple):
    """One write to a file that is flushed by a flusher.

    Attributes:
        flusher: Flushes the file.
        number: Of the write.
    """

    flusher: Flusher
    number: int

    @property
    def is_durable(self) -> bool:
        """Whether it is known to be on the disk."""
        return self.flusher.flushed >= self.number

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait until it is durable; see `Flusher.wait`."""
        return self.flusher.wait(self.number, seconds)
