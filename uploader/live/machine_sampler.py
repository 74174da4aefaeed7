"""Samples how busy the machine is, in a thread that nobody waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

EVERY_SECONDS = 5.0
_STALE = 3
"""A sample is no longer told after so many times the time between two."""
_CLOSE_SECONDS = 1.0

Meter = Callable[[], dict[str, Any]]
"""Measures now; rates are since the last time."""


class Sampler(Protocol):
    """Tells how busy the machine is."""

    def begin(self) -> None:
        """Begin to sample."""
        ...

    def sample(self) -> dict[str, Any] | None:
        """Return the last sample; None where there is none."""
        ...

    def close(self) -> None:
        """End what was begun."""
        ...


class NothingSampled:
    """Samples nothing, for a run that is not to tell of its machine."""

    def begin(self) -> None:
        """Begin nothing."""

    def sample(self) -> dict[str, Any] | None:
        """Return none."""
        return None

    def close(self) -> None:
        """End nothing."""


class MachineSampler:
    """Samples CPU, memory, disks, network and GPUs again and again, in a thread of its own.

    The training takes the last sample and waits for none: a driver takes milliseconds, and a network file system that
    does not answer would hold it up for as long. Rates are since the sample before.

    Args:
        open_meter: Returns what measures; called in the thread, again after it has failed.
        every: Seconds from one sample to the next, so the age of a sample at most, on a machine that answers.
        first_wait: Seconds that the first one is waited for at most.
    """

    def __init__(self, open_meter: Callable[[], Meter], every: float = EVERY_SECONDS, first_wait: float = 1.0) -> None:
        self._open_meter = open_meter
        self._every = every
        self._first_wait = first_wait
        self._taken: tuple[float, dict[str, Any] | None] = (0.0, None)
        self._has_first = threading.Event()
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, if it was not started before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="uploader-system", daemon=True)
            self._thread.start()

    def sample(self) -> dict[str, Any] | None:
        """Return the `system` of the platform's events, or None where the machine does not tell, or not in time.

        Percentages 0-100, sizes in GB, rates in MB/s, temperatures in °C, power in W.
        """
        self.begin()
        if not self._has_first.wait(self._first_wait):
            self._first_wait = 0.0
        taken_at, metrics = self._taken
        return metrics if time.monotonic() - taken_at < _STALE * self._every else None

    def close(self) -> None:
        """End the thread; one that hangs is left behind."""
        self._is_closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _work(self) -> None:
        meter = None
        while not self._is_closing.is_set():
            try:
                meter = meter or self._open_meter()
                metrics = meter()
                self._taken = time.monotonic(), metrics
            except Exception:  # noqa: BLE001 - containers hide counters, drivers fail; the payload then says null
                self._taken = 0.0, None
            self._has_first.set()
            self._is_closing.wait(self._every)
