"""How long `uploader status` takes, compared with importing its dependencies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from benches import trainings
from benches.measure import Result, Setting, in_turn, seconds, table

ROUNDS = 15
BASELINE = 'python -c "import sqlalchemy, requests"'
NOTHING = 'python -c ""'


def run(setting: Setting) -> Result:
    """Measure new processes, alternately."""
    small = trainings.record(setting.folder / "small", 100)
    empty = trainings.record(setting.folder / "empty", 0)
    contenders = {
        BASELINE: _process([sys.executable, "-c", "import sqlalchemy, requests"]),
        "status, a run without epochs": _process(trainings.uploader("status", "--journal", empty)),
        "status, a run of 100 epochs": _process(trainings.uploader("status", "--journal", small)),
        NOTHING: _process([sys.executable, "-c", ""]),
    }
    readings = in_turn(contenders, setting.rounds(ROUNDS))
    return Result((table("A new process, start to end", "ms", readings, 1e3),), (), ())


def _process(command: Sequence[str]) -> Callable[[], list[float]]:
    def once() -> list[float]:
        return [seconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))]

    return once
