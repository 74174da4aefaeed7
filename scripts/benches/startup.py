"""How long `uploader status`, `show` and `exec` take, compared with importing their dependencies.

As pip installs them, with their bytecode: a process that may not keep it compiles half of what it imports, each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uploader
from benches import trainings
from benches.measure import Result, Setting, Target, in_turn, seconds, table

ROUNDS = 15
STARTUP = str(Path(uploader.__file__).with_name("startup"))
BASELINE = 'python -c "import sqlalchemy, requests"'
SHOW = "show, a run of 100 epochs"
NONE, MANY = "status, no run", "status, 2,000 runs of 10 epochs"
NOTHING = 'python -c ""'
HOOKED = "the same below exec"
CLICK = 'python -c "import click"'
EXEC = "exec true"


def run(setting: Setting) -> Result:
    """Measure new processes, alternately."""
    small = trainings.record(setting.folder / "small", 100)
    empty = trainings.record(setting.folder / "empty", 0)
    no_runs = trainings.record_many(setting.folder / "none", 0, 0)
    many = trainings.record_many(setting.folder / "many", setting.rounds(2000), 10)
    compiled = {**os.environ, "PYTHONPYCACHEPREFIX": str(setting.folder / "bytecode")}
    compiled.pop("PYTHONDONTWRITEBYTECODE", None)
    hooked = {**compiled, "PYTHONPATH": os.pathsep.join([STARTUP, *filter(None, [os.environ.get("PYTHONPATH")])])}
    contenders = {
        BASELINE: _process([sys.executable, "-c", "import sqlalchemy, requests"], compiled),
        "status, a run without epochs": _process(trainings.uploader("status", "--journal", empty), compiled),
        "status, a run of 100 epochs": _process(trainings.uploader("status", "--journal", small), compiled),
        NONE: _process(trainings.uploader("status", "--journal", no_runs), compiled),
        MANY: _process(trainings.uploader("status", "--journal", many), compiled),
        SHOW: _process(trainings.uploader("show", "--journal", small), compiled),
        NOTHING: _process([sys.executable, "-c", ""], compiled),
        HOOKED: _process([sys.executable, "-c", ""], hooked),
        CLICK: _process([sys.executable, "-c", "import click"], compiled),
        EXEC: _process([*trainings.uploader("exec", "--"), "true"], compiled),
    }
    for once in contenders.values():
        once()  # compiles
    readings = in_turn(contenders, setting.rounds(ROUNDS))
    found = table("A new process, start to end", "ms", readings, 1e3)
    ratio = found.row(MANY).p50 / found.row(NONE).p50
    targets = (
        Target("status of 2,000 runs over one of none, p50", ratio, 1.5),
        Target("show of a run of 100 epochs, p50 in ms", found.row(SHOW).p50, 400),
        Target(
            "a Python below exec over one that is not, p50 in ms", found.row(HOOKED).p50 - found.row(NOTHING).p50, 30
        ),
        Target("exec true over importing click, p50 in ms", found.row(EXEC).p50 - found.row(CLICK).p50, 30),
    )
    return Result((found,), targets, ())


def _process(command: Sequence[str], environment: Mapping[str, str]) -> Callable[[], list[float]]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def once() -> list[float]:
        return [seconds(lambda: subprocess.run(command, env=environment, check=True, **quiet))]

    return once
