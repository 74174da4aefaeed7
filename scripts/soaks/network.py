"""Suites `network…`: journals are drained through a proxy that breaks requests, by drains that are killed.

Each round is one seed: a generated journal, a schedule of faults, and what happens to the drains. At its end the
platform must have exactly what was journaled.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from soaks.calls import HEARTBEAT, describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.databases import Databases, queried
from soaks.drains import BROKEN, KEY, TIMING, ForkServer, Job, drain, opened_of
from soaks.fault_schedule import Schedule
from soaks.lines import DieAtLine
from soaks.network_tally import NetworkTally
from soaks.places import keep_when_found, scratch
from soaks.trainings import record
from soaks.verdict import compare
from uploader.server.running import RunningServer, running

MOST_DRAINS = 60
"""Every schedule ends within this many drains; otherwise it is stuck."""
_ROUNDS_PER_SERVER = 25
_DEAD_LETTERS, _ALL_DELIVERED = 4, 0


def run(
    rounds: int,
    seed: int,
    keep: Path,
    *,
    platforms: tuple[str, ...],
    idempotency: bool,
    databases: Databases | None = None,
) -> Iterator[NetworkTally]:
    """Yield the figures of each schedule.

    Args:
        rounds: Number of schedules.
        seed: Decides each round, together with its number.
        keep: Folder that journals with a finding are copied to.
        platforms: The APIs that each journal is delivered through.
        idempotency: Whether the platform honours `Idempotency-Key`; the public one does not.
        databases: Where shared journals are to be drained; None for the recorded ones themselves.
    """
    with closing(ForkServer()) as fork_server:
        for first in range(0, rounds, _ROUNDS_PER_SERVER):
            with scratch() as folder, running(folder, api_key=KEY, idempotency=idempotency) as server:
                for number in range(first, min(rounds, first + _ROUNDS_PER_SERVER)):
                    yield play(f"{seed}-{number}", platforms, server, fork_server, keep, databases=databases)


def play(
    seed: str,
    platforms: tuple[str, ...],
    server: RunningServer,
    fork_server: ForkServer,
    keep: Path,
    *,
    databases: Databases | None = None,
) -> NetworkTally:
    """Play one round and return its figures."""
    tally = NetworkTally(rounds=1)
    random, project = Random(f"{seed}/journal"), f"soak-{seed}"
    with scratch() as folder, closing(Elsewhere()) as elsewhere:
        record(folder / "journal", random, project)
        with chaos(server.url, describe, Schedule.of(seed), elsewhere.url) as between:
            recorded = Job(folder / "journal", between.url, platforms)
            job = databases.shared(recorded) if databases else recorded
            Round(job, between, fork_server, Random(f"{seed}/drains"), tally).play()
        tally.requests, tally.faults = between.requests, between.faults
        for call in elsewhere.calls():
            tally.note("leaked", repr(call[:80]))
        if between.seen[HEARTBEAT]:
            tally.note("doubled", "a heartbeat after a training was over")
        compare(job, server.url, project, tally)
        tally.notes = [f"seed {seed}: {note}" for note in tally.notes]
        keep_when_found(tally, folder, keep / f"network-{seed}")
    return tally


@dataclass(frozen=True)
class Round:
    """The drains of one journal through one proxy."""

    job: Job
    between: Chaos
    fork_server: ForkServer
    random: Random
    tally: NetworkTally

    def play(self) -> None:
        """Drain the journal until everything is delivered, whatever happens to the drains."""
        befalls = (self._calm, self._killed, self._killed, self._killed, self._race, self._stopped, self._watched)
        self.random.choice(befalls)()
        for _ in range(MOST_DRAINS):
            self.tally.drains += 1
            code = drain(self.job).exit_code
            if code == _ALL_DELIVERED:
                return
            if code == _DEAD_LETTERS:
                _retry(self.job)
        self.tally.note("stuck", f"after {self.tally.drains} drains")

    def _calm(self) -> None:
        """Leave the drains alone; only the network fails."""

    def _killed(self) -> None:
        """Kill some drains: before a line of our code, or when a request has arrived or was handled."""
        for _ in range(self.random.randint(1, 4)):
            if self.random.random() < 0.5:
                lines = int(10 ** self.random.uniform(1, 4.3))
                self._wait(self._start(replace(self.job, before_line=DieAtLine(lines))))
            else:
                pid = self._start(self.job)
                self._signal_at_request(signal.SIGKILL, pid)
                self._wait(pid)
            self.between.wait_until_idle()  # a registration that is still in transit is a documented limit

    def _stopped(self) -> None:
        """Stop a drain; it must leave nothing claimed."""
        pid = self._start(self.job)
        self._signal_at_request(signal.SIGTERM, pid)
        if self._wait(pid) >= 0:
            self.tally.stops += 1
            for (kind,) in queried(self.job, "SELECT kind FROM deliveries WHERE state = 'claimed'"):
                self.tally.note("lost", f"a stopped drain left a claim of {kind}")

    def _watched(self) -> None:
        """Let a drain watch for a while."""
        self._wait(self._start(replace(self.job, watch_seconds=self.random.uniform(0.05, 0.4))))

    def _race(self) -> None:
        """Let two drains work at once, without the lock and with leases that expire; sometimes one is killed."""
        timing = replace(TIMING, lease=0.5, renewal=self.random.choice((0.1, 5.0)))
        pids = [self._start(replace(self.job, unlocked=True, timing=timing)) for _ in range(2)]
        if self.random.random() < 0.5:
            self._signal_at_request(signal.SIGKILL, self.random.choice(pids))
        for pid in pids:
            self._wait(pid)
        self.between.wait_until_idle()

    def _start(self, job: Job) -> int:
        self.tally.drains += 1
        return self.fork_server.start(job)

    def _wait(self, pid: int) -> int:
        code = self.fork_server.wait(pid)
        self.between.observer = lambda number, phase: None
        self.tally.kills += code == -signal.SIGKILL
        if code == BROKEN:
            self.tally.note("broken", "a drain ended with an internal error")
        if code == _DEAD_LETTERS:
            _retry(self.job)
        return code

    def _signal_at_request(self, what: signal.Signals, pid: int) -> None:
        """Send a signal when the n-th request from now has arrived, or when it was handled."""
        at = self.between.requests + 1 + int(self.random.expovariate(1 / 8))
        phase = self.random.choice(("arrived", "handled"))

        def observer(number: int, now: str) -> None:
            if number >= at and now == phase:
                self.between.observer = lambda number, phase: None
                with suppress(ProcessLookupError):
                    os.kill(pid, what)

        self.between.observer = observer


def _retry(job: Job) -> None:
    """Retry all dead letters, as a person would."""
    with opened_of(job) as opened:
        opened.retry()
