"""How long it takes to prove what a run has recorded, and to check that, compared with a process that signs once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benches import trainings
from benches.measure import Result, Setting, Target, in_turn, seconds, table

EVENTS = 100_000
ROUNDS = 9
LONGEST = 1.0
"""Seconds that a person waits for the check of a run of so many events."""
SIGNING = "from uploader.proof import ed25519 as e; s = e.new_seed(); e.signer(s)(b'')"


def run(setting: Setting) -> Result:
    """Measure new processes, alternately."""
    events = 100 if setting.quick else EVENTS
    folder = trainings.record(setting.folder / "run", events)
    environment = {**os.environ, "UPLOADER_PROOF_KEY": str(setting.folder / "key")}
    file, whole = setting.folder / "run.proof", setting.folder / "whole.proof"
    proving = trainings.uploader("prove", "run", "--force", "--journal", folder, "-o")
    baseline, check = "python -c, a key pair and a signature", f"check, {events:,} events"
    contenders = {
        baseline: _process([sys.executable, "-c", SIGNING], environment),
        f"prove, {events:,} events": _process([*proving, str(file)], environment),
        f"prove --whole, {events:,} events": _process([*proving, str(whole), "--whole"], environment),
    }
    found = in_turn(contenders, setting.rounds(ROUNDS))
    checks = {check: _check(file, environment), f"check --whole, {events:,} events": _check(whole, environment)}
    readings = {**found, **in_turn(checks, setting.rounds(ROUNDS))}
    made = table("A new process, start to end", "s", readings, 1.0)
    size = file.stat().st_size / 1e6
    return Result(
        (made,),
        (Target("check, p50, seconds", made.row(check).p50, LONGEST),),
        (f"The proof has {size:.1f} MB: the results of each event, as all but the first are epochs.",),
    )


def _check(file: Path, environment: dict[str, str]) -> Callable[[], list[float]]:
    return _process(trainings.uploader("check", file), environment)


def _process(command: Sequence[str], environment: dict[str, str]) -> Callable[[], list[float]]:
    def once() -> list[float]:
        done = lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: E731
        return [seconds(done)]

    return once
