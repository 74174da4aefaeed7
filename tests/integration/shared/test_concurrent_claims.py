"""Many drains of one shared journal: each delivery is taken once, and those of a run in their order."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.journals import Bench, Engine, bench, change, dead_pid, later, opened_in, rows, until, url_of
from support.postgres_server import shared_journal_in

from journal.clock import utc_now
from journal.errors import JournalBusy, StaleClaim
from journal.outbox.claims import Wanted
from journal.outbox.outbox import Outbox
from journal.records import Claim, Outcome, PlannedDelivery

DRAINS, RUNS = 4, 8
WAIT = 120.0
SHA = "0" * 64


@pytest.fixture
def at(tmp_path: Path, engine: Engine) -> Iterator[Bench]:
    """The first run of a shared journal; its session's process is gone."""
    del engine  # gives the database back
    folder = tmp_path / "journal"
    with opened_in(folder, "postgres"):
        for sequence in ("event_ids", "deliveries_id_seq", "destinations_id_seq", "sessions_id_seq"):
            change(folder, f"SELECT setval('{sequence}', {1 << 33})")  # more than four bytes hold
    with bench(folder, "postgres", pid=dead_pid()) as opened:
        yield opened


def test_a_machine_that_drains_it_takes_it_for_no_older_copy(at: Bench, tmp_path: Path) -> None:
    """Each would note its own mark of the newest one."""
    at.outbox.copies.mark_newest()
    with (
        shared_journal_in(url_of(at.journal), tmp_path / "another machine") as opened,
        closing(opened.outbox()) as other,
    ):
        other.copies.mark_newest()
    assert rows(at.journal.path, "SELECT name FROM facts ORDER BY name") == [("journal",), ("place",)]


def another(at: Bench, name: str) -> Bench:
    """Return a further run that goes there."""
    run = at.writer.start_run(project="demo", name=name, save_dir=f"/{name}")
    at.writer.route(run.id, at.destination.platform, at.destination.base_url)
    return replace(at, run=run, session_id=at.writer.start_session(run.id, dead_pid()))


def planned(at: Bench) -> list[PlannedDelivery]:
    """Return a run's deliveries: a start, some of one role and some of none, checkpoints, an end, and what follows."""
    start, end = at.message("training_started", 1), at.message("training_complete", 3)
    roles = [replace(at.message(stage=2), role="step") for _ in range(3)]
    uploads = [checkpoint(at, "final", 2) for _ in range(3)]
    return [start, *roles, *(at.message(stage=2) for _ in range(4)), *uploads, end, at.message("usage", 4)]


def checkpoint(at: Bench, role: str, stage: int) -> PlannedDelivery:
    planned = at.planned(at.event("checkpoint", {"publish": True}, role), "checkpoint", stage)
    return replace(planned, lane="upload", sha256=SHA, role=role)


@dataclass
class Platform:
    """What arrives, in the order in which requests begin and end."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    log: list[tuple[str, Claim]] = field(default_factory=list)

    def note(self, what: str, claims: list[Claim]) -> None:
        with self.lock:
            self.log += [(what, claim) for claim in claims]


def insist(write: Callable[[], Any], busy: list[str]) -> Any:
    """Write as a drain does: what was busy is tried again."""
    while True:
        try:
            return write()
        except JournalBusy as error:
            busy.append(str(error))


def plan_more(at: Bench, runs: Sequence[Bench], rounds: Sequence[Sequence[PlannedDelivery]], busy: list[str]) -> None:
    """Plan what is left of these rounds of each run, beside others who do the same; a checkpoint replaces the last."""
    with closing(at.journal.outbox()) as outbox:
        for run, planned in zip(runs, rounds, strict=True):
            for one in planned:
                [target] = outbox.routes.targets(run_ids=[run.run.id])
                if target.planned_through < one.last_event:
                    with suppress(StaleClaim):
                        through, stage = one.last_event, one.stage
                        insist(partial(outbox.plans.write, target, [one], through=through, stage=stage), busy)


def drain(at: Bench, platform: Platform, owner: str, busy: list[str], planning: Sequence[Future[None]]) -> None:
    """Send until nothing is left; a third of the first attempts fails, and is tried again at once."""
    wanted = Wanted("message", 5), Wanted("upload", 2)
    with closing(at.journal.outbox()) as outbox:
        while not (all(each.done() for each in planning) and is_empty(outbox)):
            taking = {"owner": owner, "lease_seconds": 3600.0, "now": utc_now()}
            claims = insist(partial(outbox.claims.take, at.destination.id, *wanted, **taking), busy)
            platform.note("begin", claims)
            insist(partial(outbox.claims.renew, claims, lease_seconds=3600.0, now=utc_now()), busy)
            platform.note("end", claims)
            outcomes = [outcome_of(claim) for claim in claims]
            assert insist(partial(outbox.settlement.record, outcomes, now=utc_now()), busy) == []


def outcome_of(claim: Claim) -> Outcome:
    if claim.attempt == 1 and claim.delivery_id % 3 == 0:
        return Outcome(claim, "retry", error="503")
    return Outcome(claim, "delivered", ids={claim.kind: claim.delivery_id}, signals=(("seen", claim.run.name),))


def is_empty(outbox: Outbox) -> bool:
    with outbox.begin(read_only=True) as connection:
        query = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'claimed')"
        return connection.exec_driver_sql(query).scalar_one() == 0


def test_four_drains_take_each_once_and_those_of_a_run_in_their_order(at: Bench) -> None:
    runs = [at, *(another(at, f"name-{number % 4}") for number in range(RUNS - 1))]
    for run in runs:
        run.plan(*planned(run))
    more = [[checkpoint(run, "last", 4) for _ in range(5)] for run in runs]
    platform, busy = Platform(), list[str]()

    with ThreadPoolExecutor(DRAINS + 2) as threads:
        planning = [threads.submit(plan_more, at, runs, more, busy) for _ in range(2)]
        draining = [threads.submit(drain, at, platform, f"drain {number}", busy, planning) for number in range(DRAINS)]
    assert [each.result() for each in (*planning, *draining)] == [None] * (DRAINS + 2)

    taken = Counter((claim.delivery_id, claim.fence) for what, claim in platform.log if what == "begin")
    assert set(taken.values()) == {1}
    states = "SELECT kind, role, state, count(*) FROM deliveries GROUP BY kind, role, state"
    counts = {(role, state): number for _, role, state, number in rows(at.journal.path, states)}
    assert {state for _, state in counts} <= {"delivered", "superseded"}
    assert counts["last", "delivered"] + counts.get(("last", "superseded"), 0) == 5 * RUNS
    assert counts["last", "delivered"] >= RUNS  # the newest of each run
    assert counts["final", "delivered"] == counts["step", "delivered"] == 3 * RUNS
    assert not [error for error in busy if "deadlock" in error]
    for run in runs:
        assert_in_order([each for each in platform.log if each[1].run.id == run.run.id])
        assert run.target().ids.keys() >= {"training_started", "epoch_end", "checkpoint", "training_complete", "usage"}


def assert_in_order(log: list[tuple[str, Claim]]) -> None:
    """Check that what had to wait for others of the run began after the end of their last attempt.

    The checkpoints that were planned meanwhile wait for those before them, and nothing waits for them.
    """
    begun = {claim.delivery_id: place for place, (what, claim) in reversed([*enumerate(log)]) if what == "begin"}
    ended = {claim.delivery_id: place for place, (what, claim) in enumerate(log) if what == "end"}
    claims = {claim.delivery_id: claim for _, claim in log}
    stages = {"training_started": 1, "training_complete": 3, "usage": 4}
    for one in claims.values():
        for other in claims.values():
            own, its = (stages.get(each.kind, 4 if each.role == "last" else 2) for each in (one, other))
            is_later = one.delivery_id < other.delivery_id
            if own < its or (is_later and one.role is not None and (one.role, one.lane) == (other.role, other.lane)):
                assert ended[one.delivery_id] < begun[other.delivery_id], (one, other)


@pytest.fixture
def registered(at: Bench) -> Bench:
    """The run, which the platform knows."""
    at.register()
    return at


def somebody_waits(at: Bench) -> bool:
    """Return whether a transaction waits for another one: for a row, or for its end."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return rows(at.journal.path, query) != [(0,)]


@contextmanager
def held_before(at: Bench, statement: str) -> Iterator[tuple[Outbox, Held]]:
    """Provide an outbox that stops before a statement that begins so, until it is let go on."""
    held = Held()

    def stop(_: Any, __: Any, sent: str, *___: Any) -> None:
        if sent.startswith(statement):
            held.reached.set()
            assert held.goes_on.wait(WAIT)

    with closing(at.journal.outbox()) as outbox:
        event.listen(outbox.connection, "before_cursor_execute", stop)
        try:
            yield outbox, held
        finally:
            held.goes_on.set()


@dataclass(frozen=True)
class Held:
    """Somebody who stops in the middle of a transaction."""

    reached: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)


def test_what_one_is_taking_does_not_keep_another_from_the_rest(registered: Bench) -> None:
    registered.plan(*(registered.message(stage=2) for _ in range(6)))
    with held_before(registered, "UPDATE deliveries") as (outbox, held), ThreadPoolExecutor(1) as threads:
        first = threads.submit(replace(registered, outbox=outbox).claim, limit=2)
        assert held.reached.wait(WAIT)
        second = registered.claim(limit=2)
        held.goes_on.set()
        assert [len(first.result()), len(second)] == [2, 2]


def test_what_is_overtaken_while_it_is_settled_is_refused(registered: Bench) -> None:
    registered.plan(registered.message(stage=2))
    [slow] = registered.claim(lease_seconds=1)
    with held_before(registered, "UPDATE deliveries") as (outbox, held), ThreadPoolExecutor(2) as threads:
        taking = threads.submit(replace(registered, outbox=outbox).claim, owner="second", now=later(5))
        assert held.reached.wait(WAIT)
        settling = threads.submit(registered.record, Outcome(slow, "delivered"))
        until(lambda: settling.done() or somebody_waits(registered))
        held.goes_on.set()
        [quick] = taking.result()
        assert settling.result() == [Outcome(slow, "delivered")]
    assert registered.states()[-1] == "claimed"
    assert registered.record(Outcome(quick, "delivered")) == []


def test_planning_waits_for_who_takes_an_upload_of_the_run(registered: Bench) -> None:
    registered.plan(checkpoint(registered, "last", 2))
    newer = checkpoint(registered, "last", 2)
    with held_before(registered, "UPDATE targets") as (outbox, held), ThreadPoolExecutor(2) as threads:
        taking = threads.submit(replace(registered, outbox=outbox).claim, "upload")
        assert held.reached.wait(WAIT)
        planning = threads.submit(registered.plan, newer)
        until(lambda: planning.done() or somebody_waits(registered))
        held.goes_on.set()
        assert [len(taking.result()), planning.result()] == [1, None]
    assert registered.states()[1:] == ["claimed", "pending"]


def test_a_run_is_blocked_when_nobody_takes_anything(registered: Bench) -> None:
    """Its next registration goes when nothing of it is in flight, whose refusal would block it once more."""
    registered.plan(registered.message(stage=2))
    [refused] = registered.claim()
    registered.plan(registered.message(stage=2), registered.message("training_started", 3))
    with (
        closing(registered.journal.outbox()) as third,
        held_before(registered, "UPDATE deliveries") as (outbox, held),
        ThreadPoolExecutor(3) as threads,
    ):
        taking = threads.submit(replace(registered, outbox=outbox).claim)
        assert held.reached.wait(WAIT)
        blocking = threads.submit(registered.record, Outcome(refused, "dead", error="404", block="404"))
        until(lambda: blocking.done() or somebody_waits(registered))
        later_on = threads.submit(replace(registered, outbox=third).claim)
        until(lambda: later_on.done() or somebody_waits(registered))
        held.goes_on.set()
        [in_flight] = taking.result()
        assert (blocking.result(), later_on.result()) == ([], [])
    registered.record(Outcome(in_flight, "delivered"))
    assert [claim.kind for claim in registered.claim()] == ["training_started"]
