"""Signals that platforms send a training through the journal, and what is done about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from uploader.recording.serial_executor import in_caller

SHORTEST = 0.5
"""The shortest time between two checks between batches, in seconds: another thread does each, which is waited for."""
SHARE = 200
"""Checks between batches may take at most this fraction of the time: one part in 200."""


class Loop(Protocol):
    """What trains, and looks now and then whether it is to stop.

    Attributes:
        stop: Whether it is.
    """

    stop: bool


class ReadSignals(Protocol):
    """Returns what platforms have told, as `Recorder.told` does."""

    def __call__(self, *, wait: bool = True) -> Mapping[str, str] | None:
        """Return the signals by kind; None when that would take waiting although `wait` is False."""
        ...


class PlatformSignals:
    """Acts on signals: stops the trainer when the training is cancelled, and shows the address of its model.

    Args:
        read: Returns the signals.
        say: Shows a message to the person.
        clock: Seconds; never goes back.
    """

    def __init__(
        self, read: ReadSignals, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._log = say
        self._clock = clock
        self._check_at = 0.0
        self._is_cancelled = False
        self._has_shown_model = False

    def check(self, trainer: Loop) -> None:
        """Check for signals and act on them."""
        self._apply(trainer, self._read())

    def is_due(self) -> bool:
        """Return whether there is something to do between two batches."""
        return self._is_cancelled or self._clock() >= self._check_at

    def check_between_batches(self, trainer: Loop) -> None:
        """Do the same between two batches: now and then, and without waiting for another thread."""
        now = self._clock()
        if self._is_cancelled or now < self._check_at:
            self._apply(trainer, None)
            return
        signals = self._read(wait=False)
        done = self._clock()
        self._check_at = done + max(SHORTEST, SHARE * (done - now))
        self._apply(trainer, signals)

    def _apply(self, trainer: Loop, signals: Mapping[str, str] | None) -> None:
        signals = signals or {}
        if (page := signals.get("model")) and not self._has_shown_model:
            self._has_shown_model = True
            self._log(f"View model at {page}")
        if "cancelled" in signals and not self._is_cancelled:
            self._is_cancelled = True
            why = signals["cancelled"] or "no reason given"
            self._log(f"the platform cancelled this training, which stops as soon as its trainer can ({why})")
        if self._is_cancelled:
            in_caller(lambda: setattr(trainer, "stop", True))
