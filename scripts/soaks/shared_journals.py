"""Suite `shared`: four drains at once deliver a shared journal, while they and its server are killed.

Each round is one seed: a node's journal that is brought into a new PostgreSQL database, a proxy that breaks requests to
the platform, and what happens to the drains and to the server, which is shut down at once and started again. At its end
the platform must have exactly what the node recorded.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Thread

from soaks.calls import describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.databases import Databases, database_server, why_not
from soaks.drains import BROKEN, JOURNAL_UNUSABLE, KEY, ULTRALYTICS, ForkServer, Job, drain, opened_of
from soaks.fault_schedule import Schedule
from soaks.network_tally import NetworkTally
from soaks.places import keep_when_found, scratch
from soaks.trainings import record
from soaks.verdict import compare
from uploader.server.running import RunningServer, running

__all__ = ["run", "why_not"]

DRAINS = 4
MOST_DRAINS = 200
"""Every schedule ends within this many further drains, some of which only find that leases have not run out."""
_ROUNDS_PER_SERVER = 25
_DEAD_LETTERS, _ALL_DELIVERED = 4, 0


def run(rounds: int, seed: int, keep: Path) -> Iterator[NetworkTally]:
    """Yield the figures of each schedule.

    Args:
        rounds: Number of schedules.
        seed: Decides each round, together with its number.
        keep: Folder that journals with a finding are copied to.
    """
    with closing(ForkServer()) as fork_server, database_server() as databases:
        for first in range(0, rounds, _ROUNDS_PER_SERVER):
            with scratch() as folder, running(folder, api_key=KEY, idempotency=True) as server:
                for number in range(first, min(rounds, first + _ROUNDS_PER_SERVER)):
                    yield _play(f"{seed}-{number}", server, databases, fork_server, keep)


def _play(seed: str, server: RunningServer, databases: Databases, fork_server: ForkServer, keep: Path) -> NetworkTally:
    """Play one round and return its figures."""
    tally = NetworkTally(rounds=1)
    random, project = Random(f"{seed}/journal"), f"soak-{seed}"
    with scratch() as folder, closing(Elsewhere()) as elsewhere:
        record(folder / "journal", random, project)
        with chaos(server.url, describe, Schedule.of(seed), elsewhere.url) as between:
            job = databases.shared(Job(folder / "journal", between.url, (ULTRALYTICS,)))
            _Round(job, between, fork_server, databases, Random(f"{seed}/drains"), tally).play()
        tally.requests, tally.faults = between.requests, between.faults
        compare(job, server.url, project, tally)
        tally.notes = [f"seed {seed}: {note}" for note in tally.notes]
        keep_when_found(tally, folder, keep / f"shared-{seed}")
    return tally


@dataclass(frozen=True)
class _Round:
    """The drains of one shared journal."""

    job: Job
    between: Chaos
    fork_server: ForkServer
    databases: Databases
    random: Random
    tally: NetworkTally

    def play(self) -> None:
        """Run four drains at once, kill some of them and the server, and drain until everything is delivered."""
        pids = [self.fork_server.start(self.job) for _ in range(DRAINS)]
        self.tally.drains += DRAINS
        victims = self.random.sample(pids, self.random.randint(0, 3))
        restarts = self._kill_at_requests(victims, with_server=self.random.random() < 0.5)
        for pid in pids:
            self._wait(pid)
        self.between.observer = lambda number, phase: None
        for thread in restarts:
            thread.join()
        self.between.wait_until_idle()
        self._finish()

    def _finish(self) -> None:
        for _ in range(MOST_DRAINS):
            self.tally.drains += 1
            code = drain(self.job).exit_code
            if code == _ALL_DELIVERED:
                return
            if code == _DEAD_LETTERS:
                self._retry()
        self.tally.note("stuck", f"after {self.tally.drains} drains")

    def _kill_at_requests(self, pids: list[int], *, with_server: bool) -> list[Thread]:
        """Kill each when a request, from now on, has arrived or was handled; return threads that restart the server."""
        at = {pid: self._some_requests() for pid in pids}
        server_at = self._some_requests() if with_server else None
        phase, threads = self.random.choice(("arrived", "handled")), list[Thread]()

        def observer(number: int, now: str) -> None:
            if now != phase:
                return
            for pid in [pid for pid, request in at.items() if number >= request]:
                at.pop(pid, None)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if server_at is not None and number >= server_at and not threads:
                threads.append(Thread(target=self.databases.kill))
                threads[0].start()
                self.tally.stops += 1

        self.between.observer = observer
        return threads

    def _some_requests(self) -> int:
        return self.between.requests + 1 + int(self.random.expovariate(1 / 10))

    def _wait(self, pid: int) -> None:
        code = self.fork_server.wait(pid)
        self.tally.kills += code == -signal.SIGKILL
        if code in {BROKEN, JOURNAL_UNUSABLE}:
            self.tally.note("broken", f"a drain ended with {code}")

    def _retry(self) -> None:
        """Retry all dead letters, as a person would."""
        with opened_of(self.job) as opened:
            opened.retry()
