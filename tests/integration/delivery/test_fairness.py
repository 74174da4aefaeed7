"""Runs take turns: what is trained now and what waits from long ago do not keep each other waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.journals import Bench, bench, dead_pid, later, until
from support.recordings import Recordings, Training
from support.scripted_server import Reply, Request, ScriptedServer, received

from journal.clock import to_text, utc_now
from journal.records import Claim, Outcome
from uploader.delivery.fair_planning import BATCH, FIRST_BATCH, PART, REGISTRATIONS
from uploader.delivery.timing import Timing

ON_BOTH_ENGINES = True


def script(request: Request) -> Reply:
    """Call each run's model as the run is called."""
    body = request.json()
    ids = {"modelId": f"m-{body['name']}", "runId": 1} if body["event"] == "training_started" else {}
    return Reply(body={"received": True, **ids}) if ids else received(request)


def record(journals: Recordings, name: str, epochs: int) -> Training:
    """Record a training that goes on."""
    training = journals.begin(name)
    training.started()
    for number in range(epochs):
        training.epoch(number)
    return training


def old(journals: Recordings, name: str, epochs: int) -> None:
    """Record a training that was cut off."""
    record(journals, name, epochs).end("killed")


def arrived(server: ScriptedServer) -> list[str]:
    """Return the names of the runs whose epochs arrived, in order."""
    return [body["modelId"].removeprefix("m-") for body in server.bodies("/metrics") if body["event"] == "epoch_end"]


def test_a_live_run_goes_before_the_backlog_of_older_ones(journals: Recordings, server: ScriptedServer) -> None:
    server.script = script
    for number in range(20):
        old(journals, f"old{number}", 40)
    record(journals, "live", 5)
    assert journals.drain(server.url).exit_code == 0
    names = arrived(server)
    assert len(names) == 20 * 40 + 5
    assert max(at for at, name in enumerate(names) if name == "live") < len(names) / 4


def test_a_live_run_with_a_long_backlog_takes_turns_with_the_others(
    journals: Recordings, server: ScriptedServer
) -> None:
    server.script = script
    for number in range(4):
        old(journals, f"old{number}", 3 * PART)
    record(journals, "live", 2 * BATCH)
    assert journals.drain(server.url).exit_code == 0
    half = Counter(arrived(server)[: 2 * BATCH])
    assert BATCH / 2 < half["live"] < 3 * BATCH / 2


def test_older_runs_go_on_side_by_side(journals: Recordings, server: ScriptedServer) -> None:
    server.script = script
    names = [f"old{number}" for number in range(5)]
    for name in names:
        old(journals, name, 4 * PART)
    assert journals.drain(server.url).exit_code == 0
    half = Counter(arrived(server)[: len(names) * 4 * PART // 2])
    assert min(half[name] for name in names) >= PART


def test_a_start_that_was_taken_in_late_goes_before_later_runs_of_the_name(
    journals: Recordings, server: ScriptedServer
) -> None:
    first, second = journals.begin("train"), journals.begin("train")
    for number in range(3 * FIRST_BATCH):
        first.epoch(number)
    second.started()
    first.started()
    assert journals.drain(server.url).exit_code == 0
    starts = [body for body in server.bodies("/metrics") if body["event"] == "training_started"]
    assert [each["data"]["environment"]["uploaderRun"] for each in starts] == [first.run.id, second.run.id]


def test_runs_of_one_name_are_registered_in_the_order_in_which_they_were_trained(
    journals: Recordings, server: ScriptedServer
) -> None:
    registered: list[str] = []

    def taken(request: Request) -> Reply:
        if request.json()["event"] == "training_started":
            registered.append(request.json()["data"]["environment"]["uploaderRun"])
        return received(request)

    server.script = taken
    trained = [record(journals, "train", 0).run.id for _ in range(REGISTRATIONS + 5)]
    assert journals.drain(server.url).exit_code == 0
    assert registered == trained


@pytest.fixture
def over(tmp_path: Path) -> Iterator[Bench]:
    """A run whose session's process is gone."""
    with bench(tmp_path / "journal", pid=dead_pid()) as opened:
        yield opened


def another(at: Bench, name: str, *, pid: int | None = None) -> Bench:
    """Return another run of the same journal, which is live unless its process is gone."""
    run = at.writer.start_run(project="demo", name=name, save_dir=f"/{name}")
    at.outbox.routes.add(run.id, at.destination.id)
    return replace(at, run=run, session_id=at.writer.start_session(run.id, pid))


def names(claims: list[Claim]) -> list[str]:
    return [claim.run.name for claim in claims]


def test_uploads_take_turns_one_at_a_time(over: Bench) -> None:
    benches = [another(over, name, pid=over_pid) for name, over_pid in _PIDS]
    for one in benches:
        one.register()
        one.plan(one.upload(one.checkpoint(one.run.name.encode(), "final"), "final", stage=2))
    order = [name for turn in range(4) for name in names(over.claim("upload", limit=1, first_queue=turn))]
    assert order == ["live1", "live2", "old1", "live3"]


_PIDS: list[tuple[str, Any]] = [
    ("old1", dead_pid()),
    ("live1", None),
    ("old2", dead_pid()),
    ("live2", None),
    ("live3", None),
]


def test_a_probe_is_with_what_was_tried_least(over: Bench) -> None:
    """A start, or an epoch, at which a platform hangs would keep all else waiting otherwise."""
    first, second = another(over, "first"), another(over, "second")
    for one in (first, second):
        one.plan(one.message("training_started"), one.message("epoch_end", stage=2))
    for _ in range(2):  # the starts, then the epochs
        [hanging] = over.claim(limit=1, least_tried=True)
        over.record(Outcome(hanging, "retry", error="silence", next_attempt_at=to_text(utc_now())))
        [other] = over.claim(limit=1, least_tried=True)
        assert (hanging.run.name, other.run.name) == ("first", "second")
        over.record(Outcome(other, "delivered", ids={}))
        [again] = over.claim(limit=1)
        over.record(Outcome(again, "delivered", ids={}))


def test_a_start_at_which_the_platform_fails_does_not_keep_other_runs_waiting(
    journals: Recordings, server: ScriptedServer
) -> None:
    for name in ("first", "second", "third"):
        old(journals, name, 1)

    def fails(request: Request) -> Reply:
        return Reply(503) if request.json().get("name") == "first" else script(request)

    server.script = fails
    with journals.draining(server.url, timing=Timing(first_wait=0.01), max_time=600.0) as running:
        until(lambda: {"second", "third"} <= set(arrived(server)))
    assert running.summary().exit_code == 3
    assert [body["name"] for body in server.bodies("/metrics") if "name" in body][:2] == ["first", "second"]
    assert set(arrived(server)) == {"second", "third"}


@pytest.mark.parametrize(("seconds", "waits"), [(30, True), (3600, False)])
def test_a_start_that_was_put_off_holds_others_of_its_name_for_a_minute_at_most(
    over: Bench, seconds: float, waits: bool
) -> None:
    first, second = another(over, "train"), another(over, "train")
    for one in (first, second):
        one.plan(one.message("training_started"))
    [claim] = over.claim()
    over.record(Outcome(claim, "retry", error="429", next_attempt_at=to_text(later(seconds)), held=True))
    assert [claim.run.id for claim in over.claim()] == ([] if waits else [second.run.id])
