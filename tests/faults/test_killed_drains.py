"""Drain processes that are killed, stopped and frozen, on a platform that knows no idempotency keys."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Event

import pytest
from soaks import drain_steps
from soaks.calls import describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.drains import KEY, TIMING, ForkServer, Job, drain
from soaks.fault_schedule import Schedule
from soaks.network_tally import NetworkTally, rows
from soaks.trainings import record
from soaks.verdict import compare
from support.platform_api import Api

import journal
from journal.reading.run_reader import recorded_runs
from uploader import intents
from uploader.server.running import RunningServer, running

ALL_DELIVERED, WORK_REMAINS = 0, 3
# No answer is late here unless the machine is: a busy one must not turn a delivery into a retry.
PATIENT = replace(TIMING, answer=60.0)
CALM = Schedule("calm", 0.0)
SEED = 4


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    with closing(ForkServer()) as made:
        yield made


@pytest.fixture
def server(fork_server: ForkServer, tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as running_server:
        yield running_server


@contextmanager
def journal_and_network(server: RunningServer, folder: Path, project: str) -> Iterator[tuple[Job, Chaos]]:
    """Record a training and put a proxy that breaks nothing before the platform; compare both at the end."""
    folder.mkdir()
    record(folder / "journal", Random(SEED), project)
    with closing(Elsewhere()) as elsewhere, chaos(server.url, describe, CALM, elsewhere.url) as between:
        job = Job(folder / "journal", between.url, timing=PATIENT)
        yield job, between
    tally = NetworkTally()
    compare(job, server.url, project, tally)
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes


def ambush(between: Chaos, number: int, phase: str, strike: Callable[[int], None]) -> SimpleQueue[int]:
    """Strike when the request of that number has come to that phase, at the process id that is put here."""
    pids: SimpleQueue[int] = SimpleQueue()

    def observer(seen: int, now: str) -> None:
        if (seen, now) == (number, phase):
            strike(pids.get())

    between.observer = observer
    return pids


def sending(what: signal.Signals) -> Callable[[int], None]:
    return lambda pid: os.kill(pid, what)


def freeze(pid: int, journal: Path) -> None:
    """Stop a process at a moment at which it does not hold the journal's write lock, which nobody could take then."""
    with closing(sqlite3.connect(journal / "journal.db", timeout=0, isolation_level=None)) as database:
        while True:
            os.kill(pid, signal.SIGSTOP)
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
            else:
                database.execute("ROLLBACK")
                return


def end_leases(journal: Path) -> None:
    """Make it as if the time of all claims had run out."""
    with closing(sqlite3.connect(journal / "journal.db")) as database, database:
        database.execute("UPDATE deliveries SET lease_until = '2020-01-01T00:00:00.000000Z' WHERE state = 'claimed'")


@pytest.mark.parametrize("phase", ["arrived", "handled"])
def test_a_drain_may_die_at_any_request(
    server: RunningServer, fork_server: ForkServer, tmp_path: Path, phase: str
) -> None:
    number, killed = 1, True
    while killed:
        with journal_and_network(server, tmp_path / str(number), f"{phase}-{number}") as (job, between):
            victims = ambush(between, number, phase, sending(signal.SIGKILL))
            pid = fork_server.start(job)
            victims.put(pid)
            killed = fork_server.wait(pid) == -signal.SIGKILL
            between.wait_until_idle()  # a registration that is still on its way is a documented limit
            assert drain(job).exit_code == ALL_DELIVERED
        number += 1
    assert number > 10


def test_a_drain_may_die_after_any_request_for_what_is_wanted(
    server: RunningServer, fork_server: ForkServer, tmp_path: Path
) -> None:
    """One journal is enough: each round wants something new, and its drain dies one request later."""
    with journal_and_network(server, tmp_path / "run", "wanted") as (job, between):
        assert drain(job).exit_code == ALL_DELIVERED
        with journal.open(job.folder) as opened:
            [run] = recorded_runs(opened.begin)
        [model] = Api(server.url, KEY).get("/api/models/local/wanted")["models"]
        place = f"/api/models/local/wanted/{model['model']}"
        number, killed = 0, True
        while killed:
            number += 1
            intents.describe(run.id, description=f"seen {number}", tags=[f"tag {number}"], journal=job.folder)
            intents.convert(run.id, "onnx", args={"imgsz": 32 * number}, journal=job.folder)
            victims = ambush(between, between.requests + number, "handled", sending(signal.SIGKILL))
            pid = fork_server.start(job)
            victims.put(pid)
            killed = fork_server.wait(pid) == -signal.SIGKILL
            between.wait_until_idle()
            assert drain(job).exit_code == ALL_DELIVERED
            after = Api(server.url, KEY).get(place)["model"]
            assert (after["description"], after["metadata"]["tags"]) == (f"seen {number}", [f"tag {number}"])
            ordered = [each["args"]["imgsz"] for each in Api(server.url, KEY).get(f"{place}/exports")["exports"]]
            assert ordered == [32 * each for each in range(number, 0, -1)]
        assert number > 5


@pytest.mark.parametrize(("limit", "file"), [(12, ".py"), (100, "delivery/run_routing.py")])
def test_a_drain_may_die_before_any_line(limit: int, file: str, tmp_path: Path) -> None:
    tally = NetworkTally()
    for one in drain_steps.run(tmp_path, limit, file):
        tally.add(one)
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds > 10
    assert tally.kills > tally.rounds / 2


def test_a_stopped_drain_leaves_nothing_claimed(server: RunningServer, fork_server: ForkServer, tmp_path: Path) -> None:
    with journal_and_network(server, tmp_path / "run", "stopped") as (job, between):
        stopped = ambush(between, 3, "arrived", sending(signal.SIGTERM))
        pid = fork_server.start(job)
        stopped.put(pid)
        assert fork_server.wait(pid) == WORK_REMAINS
        query = "SELECT count(*) FROM deliveries WHERE state = 'claimed' OR (attempts > 0 AND state = 'pending')"
        assert rows(job.folder, query) == [(0,)]
        assert drain(job).exit_code == ALL_DELIVERED


def test_a_frozen_drain_is_overtaken_and_harms_nothing_when_it_goes_on(
    server: RunningServer, fork_server: ForkServer, tmp_path: Path
) -> None:
    with journal_and_network(server, tmp_path / "run", "frozen") as (job, between):
        unlocked, stands = replace(job, unlocked=True), Event()

        def strike(pid: int) -> None:
            freeze(pid, job.folder)
            stands.set()

        stopped = ambush(between, 1, "handled", strike)
        frozen = fork_server.start(unlocked)
        stopped.put(frozen)
        assert stands.wait(60)  # else the first request might be another drain's
        try:
            assert fork_server.wait(fork_server.start(unlocked)) == WORK_REMAINS
            end_leases(job.folder)
            assert fork_server.wait(fork_server.start(unlocked)) == ALL_DELIVERED
            before = rows(job.folder, "SELECT id, state, receipt FROM deliveries")
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert fork_server.wait(frozen) == ALL_DELIVERED
        assert rows(job.folder, "SELECT id, state, receipt FROM deliveries") == before
        assert rows(job.folder, "SELECT max(fence) FROM deliveries WHERE kind = 'training_started'") == [(2,)]
