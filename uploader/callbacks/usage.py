"""Usage events: that a training, a validation, a prediction or an export began.

Upstream sends them to an analytics service of Ultralytics', while the machine is online and the person's settings allow
it. That is left to upstream: it stays active, so that each is sent once at most. Here they are journaled, with the same
content and under the same conditions, but also offline. They are not delivered: HUB's API has no place for them, and
the analytics service answers every request alike, so that a delivery could never be known to have arrived.
"""

from __future__ import annotations

import atexit
import functools
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uploader.settings import HUB
from uploader.sink import JournalOptions, Sink, new_run

USAGE = "usage"
"""Kind of the events."""
RUN_NAME = "usage"
"""Name of the run that takes those of a process which belong to no training."""
MOST, SECONDS = 25, 30.0
"""A process journals so many of them in so many seconds: upstream's own limit, for predictions come by the hundred."""

_OFFICIAL = "https://github.com/ultralytics/ultralytics.git"
_NAME_CHARACTERS = 100


def is_allowed() -> bool:
    """Return whether the person's settings allow usage events, by upstream's rules except that of being online."""
    from ultralytics.utils import GIT, IS_PIP_PACKAGE, RANK, SETTINGS, TESTS_RUNNING

    is_release = IS_PIP_PACKAGE or GIT.origin == _OFFICIAL
    return bool(SETTINGS["sync"]) and RANK in {-1, 0} and not TESTS_RUNNING and is_release


def usage_payload(args: Any, device: object) -> dict[str, Any]:
    """Return what upstream tells of a start: the mode, the software, the task, the device.

    Args:
        args: The trainer's, validator's, predictor's or exporter's arguments.
        device: Where it runs.
    """
    from ultralytics.utils.events import events

    # The last part of a path or URL; a HUB model's may hold a key.
    model = Path(str(args.model)).name.partition("?")[0][:_NAME_CHARACTERS] if args.model else None
    params = {**events.metadata, "task": args.task, "model": model, "device": str(device)}
    if args.mode == "export":
        params["format"] = args.format
    return {"name": args.mode, "params": params}


class UsageLog:
    """Journals one process's usage events that belong to no training, under a run of their own."""

    def __init__(self, options: JournalOptions, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the journal; it is closed when the process exits."""
        run = new_run(str(uuid.uuid4()), project=None, name=RUN_NAME, save_dir=Path.cwd())
        self._sink = Sink(options, run)
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=MOST)
        self._pid = os.getpid()
        atexit.register(self.close)

    def add(self, payload: Mapping[str, Any]) -> None:
        """Journal an event, unless there were too many just now."""
        now = self._clock()
        if len(self._recent) < MOST or now - self._recent[0] >= SECONDS:
            self._recent.append(now)
            self._sink.event(USAGE, payload, str(payload["name"]))

    def close(self) -> None:
        """End the session; in a child that was forked meanwhile this does nothing."""
        atexit.unregister(self.close)
        if os.getpid() == self._pid:
            self._sink.close("complete")


def journal_usage(options: JournalOptions, payload: Mapping[str, Any]) -> None:
    """Journal a usage event that belongs to no training.

    Args:
        options: Which journal; of the destinations, HUB alone.
        payload: Of `usage_payload`.
    """
    hub = tuple(route for route in options.routes if route[0] == HUB)
    _log_of(replace(options, routes=hub), os.getpid()).add(payload)


@functools.cache
def _log_of(options: JournalOptions, pid: int) -> UsageLog:
    """Return the log of this process; a child that was forked has another pid, and so a log of its own."""
    return UsageLog(options)
