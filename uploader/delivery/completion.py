"""When a drain that a training started is done: nobody trains here any more, and all that can be sent has arrived."""

from __future__ import annotations

import time
from collections.abc import Callable

from uploader.delivery.presence import Presence

CHECK_SECONDS = 5.0
"""How often it is checked what is left, while nothing arrives."""
SHARE = 20
"""Such checks take at most this fraction of the time: one part in 20. They read all of a journal's deliveries."""


class Completion:
    """Decides when a drain that goes on until all is done may end. The drain's main thread owns it."""

    def __init__(
        self,
        is_training: Callable[[], bool],
        *,
        take_in: Callable[[], None],
        is_work_left: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            is_training: Whether anybody records, so that more comes.
            take_in: Takes in what trainings left beside the journal.
            is_work_left: Whether anything has not arrived that may.
            clock: Seconds; never goes back.
        """
        self._is_training = is_training
        self._take_in = take_in
        self._is_work_left = is_work_left
        self._clock = clock
        self._next_check = 0.0
        self._has_taken_in = False

    def note_arrival(self) -> None:
        """Look again at once: something was settled, perhaps of a training that began and ended since the last look."""
        self._next_check = 0.0
        self._has_taken_in = False

    def is_reached(self, held: Presence) -> bool:
        """Return whether the drain may end.

        A training that begins now leaves its events to this drain if it finds it at work. So the drain first tells
        that it is not any more, and then looks once more whether one has begun.

        Args:
            held: What tells others of this drain.
        """
        if self._is_training():
            self._has_taken_in = False
            return False
        if self._clock() < self._next_check:
            return False
        if not self._has_taken_in:  # a killed training may have left something
            self._take_in()
            self._has_taken_in = True
            return False
        if self._check():
            return False
        held.untell()
        if not self._is_training() and not self._is_work_left():
            return True
        held.tell()
        self._has_taken_in = False
        return False

    def _check(self) -> bool:
        began = self._clock()
        is_work_left = self._is_work_left()
        done = self._clock()
        self._next_check = done + max(CHECK_SECONDS, SHARE * (done - began))
        return is_work_left
