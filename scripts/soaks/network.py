"""Suites `network…`: journals are drained through a proxy that breaks requests, by drains that are killed.

Each round is one seed: a made-up journal, a schedule of faults, and what becomes of the drains. At its end the platform
must have exactly what was journaled.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import journal
from soaks.calls import HEARTBEAT, describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.drains import BROKEN, KEY, TIMING, Job, Nursery, drain
from soaks.lines import DieAtLine
from soaks.network_tally import NetworkTally, rows
from soaks.places import keep_when_found, scratch
from soaks.trainings import record
from soaks.verdict import compare
from soaks.weather import Schedule
from uploader.server.running import RunningServer, running

MOST_DRAINS = 60
"""So many drains end every schedule; more, and it is stuck."""
_ROUNDS_PER_SERVER = 25
_DEAD_LETTERS, _ALL_DELIVERED = 4, 0


def run(rounds: int, seed: int, keep: Path, *, platforms: tuple[str, ...], idempotency: bool) -> Iterator[NetworkTally]:
    """Yield the figures of each schedule.

    Args:
        rounds: How many schedules.
        seed: Together with a round's number it decides the round.
        keep: Where a journal with a finding is copied to.
        platforms: By whose APIs each journal is delivered.
        idempotency: Whether the platform honours `Idempotency-Key`; the public one does not.
    """
    with closing(Nursery()) as nursery:
        for first in range(0, rounds, _ROUNDS_PER_SERVER):
            with scratch() as folder, running(folder, api_key=KEY, idempotency=idempotency) as server:
                for number in range(first, min(rounds, first + _ROUNDS_PER_SERVER)):
                    yield play(f"{seed}-{number}", platforms, server, nursery, keep)


def play(seed: str, platforms: tuple[str, ...], server: RunningServer, nursery: Nursery, keep: Path) -> NetworkTally:
    """Play one round and return its figures."""
    tally = NetworkTally(rounds=1)
    random, project = Random(f"{seed}/journal"), f"soak-{seed}"
    with scratch() as folder, closing(Elsewhere()) as elsewhere:
        record(folder / "journal", random, project)
        with chaos(server.url, describe, Schedule.of(seed), elsewhere.url) as between:
            job = Job(folder / "journal", between.url, platforms)
            Round(job, between, nursery, Random(f"{seed}/drains"), tally).play()
        tally.requests, tally.faults = between.requests, between.faults
        for call in elsewhere.calls():
            tally.note("leaked", repr(call[:80]))
        if between.seen[HEARTBEAT]:
            tally.note("doubled", "a heartbeat of a training that was over")
        compare(job, server.url, project, tally)
        tally.notes = [f"seed {seed}: {note}" for note in tally.notes]
        keep_when_found(tally, folder, keep / f"network-{seed}")
    return tally


@dataclass(frozen=True)
class Round:
    """The drains of one journal through one proxy."""

    job: Job
    between: Chaos
    nursery: Nursery
    random: Random
    tally: NetworkTally

    def play(self) -> None:
        """Drain the journal until everything is delivered, with whatever befalls the drains."""
        befalls = (self._calm, self._killed, self._killed, self._killed, self._race, self._stopped, self._watched)
        self.random.choice(befalls)()
        for _ in range(MOST_DRAINS):
            self.tally.drains += 1
            code = drain(self.job).exit_code
            if code == _ALL_DELIVERED:
                return
            if code == _DEAD_LETTERS:
                _revive(self.job.folder)
        self.tally.note("stuck", f"after {self.tally.drains} drains")

    def _calm(self) -> None:
        """Let the drains be; the network is bad enough."""

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
            self.between.settle()  # a registration that is still on its way is a documented limit

    def _stopped(self) -> None:
        """Tell a drain to stop; what it claimed must be free when it has ended."""
        pid = self._start(self.job)
        self._signal_at_request(signal.SIGTERM, pid)
        if self._wait(pid) >= 0:
            self.tally.stops += 1
            for (kind,) in rows(self.job.folder, "SELECT kind FROM deliveries WHERE state = 'claimed'"):
                self.tally.note("lost", f"a stopped drain left a claim of {kind}")

    def _watched(self) -> None:
        """Let a drain go on for a while, whether or not it has anything to do."""
        self._wait(self._start(replace(self.job, watch_seconds=self.random.uniform(0.05, 0.4))))

    def _race(self) -> None:
        """Let two drains work at once, without the lock, with leases that run out; sometimes one is killed."""
        timing = replace(TIMING, lease=0.5, renewal=self.random.choice((0.1, 5.0)))
        pids = [self._start(replace(self.job, unlocked=True, timing=timing)) for _ in range(2)]
        if self.random.random() < 0.5:
            self._signal_at_request(signal.SIGKILL, self.random.choice(pids))
        for pid in pids:
            self._wait(pid)
        self.between.settle()

    def _start(self, job: Job) -> int:
        self.tally.drains += 1
        return self.nursery.start(job)

    def _wait(self, pid: int) -> int:
        code = self.nursery.wait(pid)
        self.between.witness = lambda number, phase: None
        self.tally.kills += code == -signal.SIGKILL
        if code == BROKEN:
            self.tally.note("broken", "a drain ended by an error of its own")
        if code == _DEAD_LETTERS:
            _revive(self.job.folder)
        return code

    def _signal_at_request(self, what: signal.Signals, pid: int) -> None:
        """Send a signal when the n-th request from now on has arrived, or when it was handled."""
        at = self.between.requests + 1 + int(self.random.expovariate(1 / 8))
        phase = self.random.choice(("arrived", "handled"))

        def witness(number: int, now: str) -> None:
            if number >= at and now == phase:
                self.between.witness = lambda number, phase: None
                with suppress(ProcessLookupError):
                    os.kill(pid, what)

        self.between.witness = witness


def _revive(folder: Path) -> None:
    """Do what a person does with dead letters."""
    with journal.open(folder) as opened:
        opened.revive()
