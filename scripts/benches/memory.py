"""How much memory a drain needs for a small and for a large backlog."""

from __future__ import annotations

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
# A process inherits the peak of the one that starts it, so that has to be a small one.
_WATCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
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
        return [peak_of_drain(trainings.record(folder / str(next(_names)), events), url)]

    return once


def peak_of_drain(folder: Path, url: str, platform: str = "ultralytics") -> float:
    """Drain a journal in a new process, check that everything arrived, and return its peak in bytes."""
    command = [sys.executable, "-c", _WATCH, *trainings.uploader("drain", "--journal", folder, "--json")]
    environment = trainings.environment(url, platform)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout) * _PEAK_UNIT
