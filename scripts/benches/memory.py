"""How much memory a drain takes, with a small and with a large backlog."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from benches import trainings
from benches.measure import Result, Setting, Target, in_turn, table
from benches.servers import answering

SMALL, LARGE = 10_000, 200_000
ROUNDS = 2
# Kilobytes, but bytes on macOS: see getrusage(2) of each.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
_names = count()


def run(setting: Setting) -> Result:
    """Measure the peak of a drain that delivers everything, to a server that only answers."""
    small, large = (SMALL // 100, LARGE // 100) if setting.quick else (SMALL, LARGE)
    with answering() as url:
        contenders = {f"{events:,} pending": _peak(setting.folder, url, events) for events in (small, large)}
        found = table("Peak memory of a drain", "MB", in_turn(contenders, setting.rounds(ROUNDS)), 1e-6)
    return Result(
        (found,),
        (Target("large backlog over small", found.ratio(f"{large:,} pending"), 1.2),),
        ("Resident memory of the whole process, interpreter and libraries included, until everything is delivered.",),
    )


def _peak(folder: Path, url: str, events: int) -> Callable[[], list[float]]:
    def once() -> list[float]:
        made = trainings.record(folder / str(next(_names)), events)
        command = trainings.uploader("drain", "--journal", made, "--json")
        process = subprocess.Popen(command, env=trainings.environment(url), stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"the drain ended with status {status}")
        return [float(used.ru_maxrss * _PEAK_UNIT)]

    return once
