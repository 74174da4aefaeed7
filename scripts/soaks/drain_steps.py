"""Suite `drain-line`: one journal, drained to both platforms, and the drain killed before each line of its code.

It is killed before the first execution of each line and, if a line runs more often, also before one in the middle. The
platforms do not support idempotency keys. The network works: only the drain fails here.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from soaks.calls import describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.databases import Databases
from soaks.drains import BROKEN, HUB, KEY, TIMING, ULTRALYTICS, ForkServer, Job, drain
from soaks.fault_schedule import Schedule
from soaks.lines import DieAtLine, Line, LineCount
from soaks.network_tally import NetworkTally
from soaks.places import keep_when_found, scratch
from soaks.traces import spread
from soaks.trainings import record
from soaks.verdict import compare
from uploader.server.running import RunningServer, running

_TRAINING = 15
"""Seed of a training with two sessions, epochs, console text and checkpoints."""
_CALM = Schedule("calm", 0.0)
# No answer is late here unless the machine is: a busy one must not turn a delivery into a retry.
_PATIENT = replace(TIMING, answer=60.0)
_ROUNDS_PER_SERVER = 25
_ALL_DELIVERED = 0


def run(keep: Path, limit: int, file: str = ".py", databases: Databases | None = None) -> Iterator[NetworkTally]:
    """Kill the drain before each line, or at `limit` of these points, evenly spread.

    Args:
        keep: Folder that journals with a finding are copied to.
        limit: Maximum number of kills.
        file: Suffix of the paths of the files whose lines count.
        databases: Where shared journals are to be drained; None for the recorded ones themselves.
    """
    with closing(ForkServer()) as fork_server:
        deaths = [DieAtLine(times, line) for line, times in _moments(databases) if line[0].endswith(file)]
        chosen = [deaths[step - 1] for step in spread(len(deaths), limit)]
        for first in range(0, len(chosen), _ROUNDS_PER_SERVER):
            with scratch() as folder, running(folder, api_key=KEY, idempotency=False) as server:
                for number, death in enumerate(chosen[first : first + _ROUNDS_PER_SERVER], first):
                    yield _die(death, number, server, fork_server, keep, databases=databases)


def _moments(databases: Databases | None) -> Iterator[tuple[Line, int]]:
    """Drain once, and yield each line that ran, with the executions before which to kill a drain."""
    count = LineCount()
    with (
        scratch() as folder,
        running(folder / "platform", api_key=KEY, idempotency=False) as server,
        _recorded(folder, server, "count", databases) as (job, _),
    ):
        drain(replace(job, before_line=count))
    for line, times in sorted(count.lines.items()):
        yield from ((line, time) for time in sorted({1, times // 2 + 1}))


def _die(
    death: DieAtLine,
    number: int,
    server: RunningServer,
    fork_server: ForkServer,
    keep: Path,
    *,
    databases: Databases | None,
) -> NetworkTally:
    tally, project = NetworkTally(rounds=1, drains=2), f"line-{number}"
    place = f"{Path(death.line[0]).name}:{death.line[1]} time {death.times}" if death.line else ""
    with scratch() as folder:
        with _recorded(folder, server, project, databases) as (job, between):
            code = fork_server.wait(fork_server.start(replace(job, before_line=death)))
            tally.kills += code == -signal.SIGKILL
            if code == BROKEN:
                tally.note("broken", "the drain ended with an internal error")
            between.wait_until_idle()  # a registration that is still in transit is a documented limit
            if drain(job).exit_code != _ALL_DELIVERED:
                tally.note("stuck", "after the second drain")
            tally.requests = between.requests
        compare(job, server.url, project, tally)
        tally.notes = [f"{place}: {note}" for note in tally.notes]
        keep_when_found(tally, folder, keep / project)
    return tally


@contextmanager
def _recorded(
    folder: Path, server: RunningServer, project: str, databases: Databases | None
) -> Iterator[tuple[Job, Chaos]]:
    """Record the training, and put a proxy that breaks nothing in front of the platforms."""
    record(folder / "journal", Random(_TRAINING), project)
    with closing(Elsewhere()) as elsewhere, chaos(server.url, describe, _CALM, elsewhere.url) as between:
        recorded = Job(folder / "journal", between.url, (ULTRALYTICS, HUB), _PATIENT)
        yield databases.shared(recorded) if databases else recorded, between
