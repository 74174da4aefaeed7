"""Drain processes that are killed, stopped and frozen, on a platform that knows no idempotency keys."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Event

import pytest
from soaks import drain_steps
from soaks.calls import describe
from soaks.chaos import Chaos, Elsewhere, chaos
from soaks.databases import Databases, changed, collect, queried
from soaks.drains import KEY, TIMING, ForkServer, Job, drain, opened_of
from soaks.fault_schedule import Schedule
from soaks.network_tally import NetworkTally
from soaks.trainings import record
from soaks.verdict import compare
from support.journals import until
from support.platform_api import Api
from support.recordings import Running

import journal
from journal.reading.run_reader import recorded_runs
from uploader import intents
from uploader.delivery.drain import Drain
from uploader.server.running import RunningServer, running

ON_BOTH_ENGINES = True
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


Recorded = Callable[[str], AbstractContextManager[tuple[Job, Chaos]]]


@pytest.fixture
def recorded(server: RunningServer, databases: Databases | None, tmp_path: Path) -> Recorded:
    """Record a training of a project, to be drained through a proxy that breaks nothing; compare both at the end."""

    @contextmanager
    def prepare(project: str) -> Iterator[tuple[Job, Chaos]]:
        folder = tmp_path / project / "journal"
        folder.parent.mkdir()
        record(folder, Random(SEED), project)
        with closing(Elsewhere()) as elsewhere, chaos(server.url, describe, CALM, elsewhere.url) as between:
            job = Job(folder, between.url, timing=PATIENT)
            job = databases.shared(job) if databases else job
            yield job, between
        tally = NetworkTally()
        compare(job, server.url, project, tally)
        assert (tally.lost, tally.damaged) == (0, 0), tally.notes

    return prepare


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


def freeze(pid: int, job: Job) -> None:
    """Stop a process at a moment at which it holds no lock of the journal, which nobody could take then."""
    is_free = _is_free_there if job.shared else _is_free
    while True:
        os.kill(pid, signal.SIGSTOP)
        if is_free(job):
            return
        os.kill(pid, signal.SIGCONT)


def _is_free(job: Job) -> bool:
    """Return whether the write lock of a journal in a file can be had."""
    with closing(sqlite3.connect(job.folder / "journal.db", timeout=0, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        database.execute("ROLLBACK")
        return True


def _is_free_there(job: Job) -> bool:
    """Return whether nobody else has a transaction open in a shared journal."""
    others = "pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
    return queried(job, f"SELECT 1 FROM pg_stat_activity WHERE {others} AND state <> 'idle'") == []


def end_leases(job: Job) -> None:
    """Make it as if the time of all claims had run out."""
    changed(job, "UPDATE deliveries SET lease_until = '2020-01-01T00:00:00.000000Z' WHERE state = 'claimed'")


@pytest.mark.once_on_postgres  # for those that were handled, there are the next test and the last
@pytest.mark.parametrize("phase", ["arrived", "handled"])
def test_a_drain_may_die_at_any_request(recorded: Recorded, fork_server: ForkServer, phase: str) -> None:
    number, killed = 1, True
    while killed:
        with recorded(f"{phase}-{number}") as (job, between):
            victims = ambush(between, number, phase, sending(signal.SIGKILL))
            pid = fork_server.start(job)
            victims.put(pid)
            killed = fork_server.wait(pid) == -signal.SIGKILL
            between.wait_until_idle()  # a registration that is still on its way is a documented limit
            assert drain(job).exit_code == ALL_DELIVERED
        number += 1
    assert number > 10


def test_a_drain_may_die_after_any_request_for_what_is_wanted(
    recorded: Recorded, server: RunningServer, fork_server: ForkServer
) -> None:
    """One journal is enough: each round wants something new, and its drain dies one request later."""
    with recorded("wanted") as (job, between):
        assert drain(job).exit_code == ALL_DELIVERED
        with journal.open(job.recorded) as opened:
            [run] = recorded_runs(opened.begin)
        [model] = Api(server.url, KEY).get("/api/models/local/wanted")["models"]
        place = f"/api/models/local/wanted/{model['model']}"
        number, killed = 0, True
        while killed:
            number += 1
            intents.describe(run.id, description=f"seen {number}", tags=[f"tag {number}"], journal=job.recorded)
            intents.convert(run.id, "onnx", args={"imgsz": 32 * number}, journal=job.recorded)
            if job.shared:
                collect(job)
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


@pytest.mark.once_on_postgres
@pytest.mark.parametrize(("limit", "file"), [(12, ".py"), (100, "delivery/run_routing.py")])
def test_a_drain_may_die_before_any_line(limit: int, file: str, databases: Databases | None, tmp_path: Path) -> None:
    tally = NetworkTally()
    for one in drain_steps.run(tmp_path, limit, file, databases):
        tally.add(one)
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds > 10
    assert tally.kills > tally.rounds / 2


def test_a_stopped_drain_leaves_nothing_claimed(recorded: Recorded, fork_server: ForkServer) -> None:
    with recorded("stopped") as (job, between):
        stopped = ambush(between, 3, "arrived", sending(signal.SIGTERM))
        pid = fork_server.start(job)
        stopped.put(pid)
        assert fork_server.wait(pid) == WORK_REMAINS
        query = "SELECT count(*) FROM deliveries WHERE state = 'claimed' OR (attempts > 0 AND state = 'pending')"
        assert queried(job, query) == [(0,)]
        assert drain(job).exit_code == ALL_DELIVERED


def test_a_frozen_drain_is_overtaken_and_harms_nothing_when_it_goes_on(
    recorded: Recorded, fork_server: ForkServer
) -> None:
    with recorded("frozen") as (job, between):
        unlocked, stands = replace(job, unlocked=True, timing=PATIENT), Event()

        def strike(pid: int) -> None:
            freeze(pid, job)
            stands.set()

        stopped = ambush(between, 1, "handled", strike)
        frozen = fork_server.start(unlocked)
        stopped.put(frozen)
        assert stands.wait(60)  # else the first request might be another drain's
        try:
            assert fork_server.wait(fork_server.start(unlocked)) == WORK_REMAINS
            end_leases(job)
            assert fork_server.wait(fork_server.start(unlocked)) == ALL_DELIVERED
            before = queried(job, "SELECT id, state, receipt FROM deliveries")
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert fork_server.wait(frozen) == ALL_DELIVERED
        assert queried(job, "SELECT id, state, receipt FROM deliveries") == before
        assert queried(job, "SELECT max(fence) FROM deliveries WHERE kind = 'training_started'") == [(2,)]


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_the_server_of_a_shared_journal_may_die_at_any_request(
    recorded: Recorded, server_of_databases: Databases, fork_server: ForkServer
) -> None:
    """It is started again at once, and the drain that was at work goes on."""
    number, is_struck = 1, True
    while is_struck:
        with recorded(f"restarted-{number}") as (job, between):
            struck = ambush(between, number, "handled", lambda _: server_of_databases.kill())
            struck.put(0)
            assert fork_server.wait(fork_server.start(job)) == ALL_DELIVERED
            is_struck = struck.empty()
        number += 5
    assert number > 10


def test_a_drain_that_waits_for_news_outlives_the_server(
    server_of_databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("uploader.delivery.drain.TICK_SECONDS", 0.02)
    (tmp_path / "blobs").mkdir()
    job = Job(tmp_path, "http://127.0.0.1:9", timing=PATIENT, watch_seconds=600, shared=server_of_databases.new())

    def listening() -> bool:
        return queried(job, "SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN uploader_events'") != []

    with opened_of(job) as opened, closing(opened.outbox()) as outbox:
        waiting = Running(Drain(opened, outbox, job.settings, job.options))
        until(lambda: waiting.has_ended or listening())
        server_of_databases.shut_down()
        until(lambda: waiting.has_ended or "cannot be reached" in caplog.text)
        server_of_databases.start()
        until(lambda: waiting.has_ended or listening())
        waiting.stop()
    assert waiting.summary().exit_code == ALL_DELIVERED
