"""How long it takes to prove what a run has recorded, and to check that, compared with a process that signs once."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

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
    file, key = setting.folder / "run.proof", setting.folder / "key"
    check = f"check, {events:,} events"
    commands = {
        "python -c, a key pair and a signature": [sys.executable, "-c", SIGNING],
        f"prove, {events:,} events": trainings.uploader(
            "prove", "run", "--force", "--journal", folder, "-o", str(file)
        ),
        check: trainings.uploader("check", file),
    }
    busy: dict[str, list[float]] = defaultdict(list)
    environment = {**os.environ, "UPLOADER_PROOF_KEY": str(key)}
    contenders = {name: _process(command, environment, busy[name]) for name, command in commands.items()}
    waited = table("A new process, start to end", "s", in_turn(contenders, setting.rounds(ROUNDS)), 1.0)
    worked = table("Its processor time", "s", busy, 1.0)
    return Result(
        (waited, worked),
        (Target("check, p50, seconds", waited.row(check).p50, LONGEST),),
        (f"The proof has {file.stat().st_size / 1e6:.1f} MB, with the content of each epoch.",),
    )


def _process(command: Sequence[str], environment: Mapping[str, str], busy: list[float]) -> Callable[[], list[float]]:
    def once() -> list[float]:
        before = _processor_time()
        done = seconds(lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True))
        busy.append(_processor_time() - before)
        return [done]

    return once


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
