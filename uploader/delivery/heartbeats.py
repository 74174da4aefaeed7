"""Heartbeats, by which a platform knows that trainings are alive: never journaled, retried or sent late."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from uploader.errors import DeliveryError
from uploader.platforms.base import Heartbeating, RunIdentity

_LOG = logging.getLogger(__name__)


class Heartbeats:
    """The heartbeats of one destination, sent by a thread of its own."""

    def __init__(self, platform: Heartbeating, name: str, clock: Callable[[], float]) -> None:
        """Start the thread.

        Args:
            platform: The client.
            name: For the thread's name.
            clock: Seconds; never goes back.
        """
        self._platform = platform
        self._clock = clock
        self._due: dict[str, float] = {}
        self._agents: dict[str, Any] = {}
        self._jobs: SimpleQueue[tuple[float, RunIdentity] | None] = SimpleQueue()
        # A daemon: a request that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def keep(self, living: Sequence[RunIdentity]) -> None:
        """Send a heartbeat for each of these runs that is due one; forget all others."""
        now = self._clock()
        self._due = {run.run_uuid: self._due.get(run.run_uuid, now) for run in living}
        for run in living:
            if self._due[run.run_uuid] <= now:
                self._due[run.run_uuid] = now + self._platform.heartbeat_seconds
                self._jobs.put((now, run))

    def close(self, timeout: float) -> None:
        """End the thread, or leave it behind after `timeout` seconds."""
        self._jobs.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            asked_at, run = job
            is_late = self._clock() - asked_at >= self._platform.heartbeat_seconds  # then the next one is due
            if not is_late and run.run_uuid in self._due:
                self._beat(run)

    def _beat(self, run: RunIdentity) -> None:
        try:
            self._agents[run.run_uuid] = self._platform.heartbeat(run, self._agents.get(run.run_uuid))
        except DeliveryError as error:
            _LOG.debug("a heartbeat did not arrive: %s", error)
        except Exception:  # noqa: BLE001  one bad run harms only itself
            _LOG.exception("the heartbeat of run %s failed in an unexpected way", run.run_uuid)
