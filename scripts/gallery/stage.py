"""The stage on which the runs are recorded: a time that is told, and a machine that is nobody's.

So the pictures show neither the day nor the machine on which they were made, and trainings of hours take no time.
"""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone, tzinfo
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

HOST, HOME = "gpu1", "/home/me"
ENVIRONMENT = {
    "hostname": HOST,
    "os": "Linux-6.8.0-x86_64-with-glibc2.39",
    "pythonVersion": "3.12.7",
    "cpuCount": 16,
    "command": "train.py",
    "totalRamGb": 125.6,
    "totalDiskGb": 1831.6,
    "gitBranch": "main",
    "gitCommit": "3f9c1d27ab04",
}


class Clock:
    """Tells the time that it was set to, in UTC.

    Attributes:
        now: That time.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._printed: deque[datetime] = deque()

    def unix(self) -> float:
        """Return it in seconds."""
        return self.now.timestamp()

    def pass_by(self, seconds: float) -> None:
        """Let some time pass."""
        self.now += timedelta(seconds=seconds)

    def say(self, line: str) -> None:
        """Print a line; the thread that records it asks when that was, and may be late."""
        self._printed.append(self.now.replace(tzinfo=None))
        print(line)

    def printed_at(self) -> datetime:
        """Return when the line was printed that is recorded now."""
        return self._printed.popleft() if self._printed else self.now.replace(tzinfo=None)


class Machine:
    """How busy the machine is, in place of a sampler of this one."""

    def __init__(self) -> None:
        self._random = Random(7)

    def begin(self) -> None:
        pass

    def close(self) -> None:
        pass

    def sample(self) -> dict[str, Any]:
        """Return a sample, which is another one each time."""
        near = self._random.gauss
        gpu = {
            "usage": round(near(93, 2)),
            "memory": round(near(61, 0.6), 1),
            "temp": round(near(71, 1)),
            "power": round(near(287, 8)),
        }
        return {
            "cpu": round(near(46, 4), 1),
            "ram": round(near(38, 0.7), 1),
            "disk": [{"mount": "/", "used_gb": 812.4, "total_gb": 1966.7}],
            "disk_io": {"read_mbs": round(abs(near(12, 4)), 1), "write_mbs": round(abs(near(3, 1)), 1)},
            "network": {"recv_mbs": 0.1, "sent_mbs": 0.0},
            "gpus": {"0": gpu},
        }


class _Names:
    """Names runs, each time the same, in place of the module `uuid`; a child is to name others than its parent."""

    def __init__(self) -> None:
        self._made_by, self._random, self._of_child = os.getpid(), Random(11), Random(12)

    def uuid4(self) -> UUID:
        random = self._random if os.getpid() == self._made_by else self._of_child
        return UUID(int=random.getrandbits(128), version=4)


@contextmanager
def told(clock: Clock) -> Iterator[None]:
    """Have all that records, delivers and tells go by a clock, and by a machine that does not exist."""
    from journal import clock as journal_clock
    from uploader.commands import spans
    from uploader.live import starting
    from uploader.live.line_chunks import LineChunks
    from uploader.recording import recorder
    from uploader.viewing.journal_runs import JournalRuns

    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Told:
            return cls.fromisoformat(clock.now.isoformat()).astimezone(tz or timezone.utc)

    os.environ["TZ"] = "UTC"
    time.tzset()
    with (
        patch.object(journal_clock, "datetime", Told),
        patch.object(spans, "datetime", Told),
        patch.object(LineChunks.__init__, "__defaults__", (clock.printed_at,)),
        patch.object(JournalRuns.__init__, "__defaults__", (clock.unix,)),
        patch.object(recorder, "uuid", _Names()),
        patch.object(platform, "node", lambda: HOST),
        patch.object(starting, "run_environment", lambda: dict(ENVIRONMENT)),
        patch.object(starting, "MachineSampler", lambda _: Machine()),
    ):
        yield
