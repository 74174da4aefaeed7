"""A drain to a HUB API: what arrives of whole trainings, offline ones and live ones."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.journals import rows
from support.recordings import KEY, Recordings, Training
from support.scripted_server import Reply, Request, ScriptedServer, free_port, hub_received, in_order, scripted_server
from support.settings import settings

from journal.clock import utc_now
from journal.outbox.outbox import Outbox
from journal.records import Claim, Destination, Outcome
from uploader.delivery import concurrency
from uploader.delivery.drain import Drain
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.feed import Feed
from uploader.delivery.sender import BYTES_IN_FLIGHT, Capacity
from uploader.delivery.timing import Timing

ON_BOTH_ENGINES = True
UNUSED = "http://unused.invalid"
LOSSES = {"train/box_loss": 1.0}
SCORES = {"metrics/mAP50-95(B)": 0.5}


@pytest.fixture
def hub() -> Iterator[ScriptedServer]:
    with scripted_server(hub_received) as running:
        yield running


def begin(journals: Recordings, url: str, name: str = "train") -> Training:
    training = journals.begin(name)
    journals.writer.route(training.run.id, "hub", url)
    training.started(trainArgs={"model": "yolo11n.pt", "epochs": "3", "data": "coco8.yaml"}, epochs=3)
    return training


def epoch(training: Training, number: int, **metrics: float) -> None:
    metrics = {**LOSSES, **SCORES, "val/box_loss": 2.0, "lr": 0.1, **metrics}
    training.event("epoch_end", {"epoch": number, "metrics": metrics, "fitness": 0.5}, str(number))


def whole(journals: Recordings, url: str, epochs: int, *, save_every: int = 20) -> Training:
    training = begin(journals, url)
    for number in range(epochs):
        training.console(number)
        epoch(training, number)
        if number % save_every == 0:
            training.checkpoint(f"last {number}".encode(), "last", publish=False, epoch=number)
            training.checkpoint(f"best {number}".encode(), "best", epoch=number)
    training.event("epoch_end", {"epoch": epochs, "metrics": {**LOSSES, **SCORES}}, str(epochs))
    training.checkpoint(b"weights", "final")
    training.complete()
    training.end()
    return training


def paths(server: ScriptedServer) -> list[str]:
    return [each.path for each in server.requests]


def metrics(server: ScriptedServer) -> dict[str, Any]:
    return {
        number: json.loads(text)
        for each in server.requests
        if each.path == "/v1/models/m-1" and each.method == "POST"
        for number, text in each.json()["metrics"].items()
    }


def test_a_long_offline_training_takes_few_requests(journals: Recordings, hub: ScriptedServer) -> None:
    whole(journals, hub.url, 200)
    summary = journals.drain(UNUSED, hub=hub.url)
    assert summary.exit_code == 0
    sent = paths(hub)
    assert sent[0] == "/v1/models"
    assert sent[-1] == "/v1/models/m-1/upload"
    assert sent.count("/v1/models/m-1") == 2  # before and after the registration; console text takes no place
    assert len(sent) == 4
    assert sorted(map(int, metrics(hub))) == list(range(200))
    assert metrics(hub)["199"] == {**LOSSES, **SCORES}
    assert b"weights" in hub.requests[-1].body
    assert b'name="map"\r\n\r\n0.5\r\n' in hub.requests[-1].body
    assert b'name="epoch"\r\n\r\n199\r\n' in hub.requests[-1].body


def test_a_save_after_each_epoch_does_not_part_the_metrics(journals: Recordings, hub: ScriptedServer) -> None:
    whole(journals, hub.url, 40, save_every=1)  # more events than are planned at once
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert paths(hub).count("/v1/models/m-1") == 2
    assert sorted(map(int, metrics(hub))) == list(range(40))


def test_the_second_drain_has_nothing_to_do(journals: Recordings, hub: ScriptedServer) -> None:
    whole(journals, hub.url, 3)
    journals.drain(UNUSED, hub=hub.url)
    sent = len(hub.requests)
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert len(hub.requests) == sent


def test_what_hub_does_not_take_leaves_nothing_behind(journals: Recordings, hub: ScriptedServer) -> None:
    training = begin(journals, hub.url)
    training.console(1)
    training.complete()
    training.end()
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert paths(hub) == ["/v1/models"]
    [target] = journals.journal.report()[0].targets
    assert (target.unplanned, target.pending) == (0, 0)


def test_usage_events_alone_need_no_key(journals: Recordings, hub: ScriptedServer) -> None:
    process = journals.begin("usage", project=None)
    journals.writer.route(process.run.id, "hub", hub.url)
    process.event("usage", {"name": "predict"}, "predict")
    process.end("complete")
    summary = journals.drain(UNUSED, hub=hub.url, api_key=None)
    assert (summary.exit_code, hub.requests) == (0, [])
    assert journals.journal.prune(utc_now()).runs == 1


def test_a_rate_limit_is_waited_for_and_nothing_is_lost(journals: Recordings, hub: ScriptedServer) -> None:
    limited = Reply(429, {"message": "slow down"}, {"Retry-After": "1"})
    whole(journals, hub.url, 3)
    hub.script = in_order(limited, then=hub_received)
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert sorted(metrics(hub)) == ["0", "1", "2"]


def test_a_rate_limit_that_lasts_is_told_with_its_figures(journals: Recordings, hub: ScriptedServer) -> None:
    limits = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "Retry-After": "600"}
    whole(journals, hub.url, 3)
    hub.script = lambda _: Reply(429, {"message": "slow down"}, limits)
    [told] = journals.drain(UNUSED, hub=hub.url).destinations
    assert "(0 of 100 requests left, again after 600s): slow down" in str(told.error)
    wait = datetime.fromisoformat((told.next_attempt_at or "").replace("Z", "+00:00")) - utc_now()
    assert timedelta(seconds=500) < wait <= timedelta(seconds=900)


def test_a_checkpoint_that_hub_is_not_sent_replaces_none(journals: Recordings, hub: ScriptedServer) -> None:
    training = begin(journals, hub.url)
    epoch(training, 0)
    training.checkpoint(b"the last one", "last", publish=False)
    training.checkpoint(b"the best one", "best")
    training.end("killed")
    failures = [Reply(503, {"message": "later"})]

    def script(request: Request) -> Reply:
        return failures.pop() if failures and request.path.endswith("/upload") else hub_received(request)

    hub.script = script
    assert journals.drain(UNUSED, hub=hub.url, timing=Timing(first_wait=0.01)).exit_code == 0
    assert [b"the last one" in each.body for each in hub.requests if each.path.endswith("/upload")] == [True, True]


def test_a_model_that_was_deleted_blocks_its_run_and_no_other(journals: Recordings, hub: ScriptedServer) -> None:
    def script(request: Request) -> Reply:
        return Reply(404, {"message": "gone"}) if request.path == "/v1/models/m-1" else hub_received(request)

    whole(journals, hub.url, 3)
    hub.script = script
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 4
    [target] = journals.journal.report()[0].targets
    assert target.state == "blocked"


def test_a_refused_key_keeps_everything(journals: Recordings, hub: ScriptedServer) -> None:
    whole(journals, hub.url, 3)
    hub.script = lambda _: Reply(401, {"message": "no"})
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 5
    hub.script = hub_received
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert sorted(metrics(hub)) == ["0", "1", "2"]


def test_a_resumed_run_goes_on_with_its_model(journals: Recordings, hub: ScriptedServer) -> None:
    training = begin(journals, hub.url)
    epoch(training, 0)
    training.end()
    journals.drain(UNUSED, hub=hub.url)
    again = journals.begin(run_id=training.run.id)
    again.started(trainArgs={"model": "last.pt"})
    epoch(again, 1)
    again.end()
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert paths(hub).count("/v1/models") == 1
    assert sorted(metrics(hub)) == ["0", "1"]


def test_both_platforms_get_the_same_run_each_in_its_own_way(
    journals: Recordings, hub: ScriptedServer, server: ScriptedServer
) -> None:
    training = whole(journals, hub.url, 3)
    journals.writer.route(training.run.id, "ultralytics", server.url)
    hub.script = lambda _: Reply(401)
    assert journals.drain(server.url, hub=hub.url).exit_code == 5
    assert server.bodies("/metrics")[-1]["event"] == "training_complete"
    hub.script = hub_received
    assert journals.drain(server.url, hub=hub.url).exit_code == 0
    assert sorted(metrics(hub)) == ["0", "1", "2"]
    states = rows(journals.journal.path, "SELECT platform, state FROM targets JOIN destinations ON id = destination_id")
    assert sorted(states) == [("hub", "registered"), ("ultralytics", "registered")]


class Everything:
    """A sender that takes what there is and has it delivered at once."""

    def __init__(self, outbox: Outbox, destination: Destination) -> None:
        self.destination = destination
        self.kinds: list[str] = []
        self._outbox = outbox

    def capacity(self) -> Capacity:
        return Capacity(10, BYTES_IN_FLIGHT, 10)

    def start(self, claims: Sequence[Claim]) -> None:
        self.kinds += [claim.kind for claim in claims]
        self._outbox.settlement.record(
            [Outcome(claim, "delivered", ids={"modelId": "m-1"}) for claim in claims], now=utc_now()
        )


def test_epochs_of_a_live_run_are_gathered_for_three_seconds(journals: Recordings, hub: ScriptedServer) -> None:
    now = 100.0
    with closing(journals.journal.outbox()) as outbox:
        training = begin(journals, hub.url)
        sender = Everything(outbox, outbox.routes.targets()[0].destination)
        feed = Feed(outbox, None, clock=lambda: now)
        feed.fill(sender)
        for number in range(3):
            epoch(training, number)
            feed.fill(sender)
        assert sender.kinds == ["training_started"]
        now += 3.0
        feed.fill(sender)
        assert sender.kinds == ["training_started", "metrics"]


def test_a_live_runs_weights_wait_a_quarter_of_an_hour_and_an_ended_ones_do_not(
    journals: Recordings, hub: ScriptedServer
) -> None:
    training = begin(journals, hub.url)
    training.checkpoint(b"weights", "last", publish=False, epoch=1, isBest=False)
    summary = journals.drain(UNUSED, hub=hub.url)
    assert summary.exit_code == 3
    assert paths(hub) == ["/v1/models"]
    wait = datetime.fromisoformat((summary.destinations[0].next_attempt_at or "").replace("Z", "+00:00")) - utc_now()
    assert timedelta(seconds=700) < wait <= timedelta(seconds=900)
    training.end()
    assert journals.drain(UNUSED, hub=hub.url).exit_code == 0
    assert paths(hub) == ["/v1/models", "/v1/models/m-1/upload"]
    assert b'name="type"\r\n\r\nepoch\r\n' in hub.requests[-1].body


def first_beat(hub: ScriptedServer) -> threading.Event:
    """Return what is set by the first heartbeat that arrives."""
    beat = threading.Event()

    def script(request: Request) -> Reply:
        if "heartbeat" in request.path:
            beat.set()
        return hub_received(request)

    hub.script = script
    return beat


def test_a_watched_live_run_sends_heartbeats_and_an_ended_one_none(journals: Recordings, hub: ScriptedServer) -> None:
    beat = first_beat(hub)
    whole(journals, hub.url, 1)
    begin(journals, hub.url, "live")
    with journals.draining(UNUSED, hub=hub.url, watch=True):
        assert beat.wait(60)
    ids = dict(
        rows(journals.journal.path, "SELECT name, json_extract(ids, '$.modelId') FROM targets JOIN runs ON id = run_id")
    )
    assert [each for each in paths(hub) if "heartbeat" in each] == [f"/v1/agent/heartbeat/models/{ids['live']}"]


def test_a_live_run_that_is_not_registered_sends_none(
    journals: Recordings, hub: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    beat = first_beat(hub)
    journals.writer.route(journals.begin("says nothing yet").run.id, "hub", hub.url)
    begin(journals, hub.url, "live")
    with journals.draining(UNUSED, hub=hub.url, watch=True):
        assert beat.wait(60)
    assert not [record for record in caplog.records if record.name == "uploader.delivery.heartbeats"]


def test_without_watching_no_heartbeat_is_sent(journals: Recordings, hub: ScriptedServer) -> None:
    begin(journals, hub.url)
    journals.drain(UNUSED, hub=hub.url)
    assert paths(hub) == ["/v1/models"]


def test_a_run_that_chose_nothing_goes_where_the_drain_is_told(journals: Recordings, hub: ScriptedServer) -> None:
    training = journals.begin()
    training.started(trainArgs={"model": "yolo11n.pt"})
    training.end()
    chosen = settings(hub_key=KEY, hub=hub.url)
    with closing(journals.journal.outbox()) as outbox:
        assert Drain(journals.journal, outbox, chosen, DrainOptions()).run().exit_code == 0
    assert paths(hub) == ["/v1/models"]


def test_a_platform_that_is_away_when_a_run_is_bound_gets_it_later(
    journals: Recordings, server: ScriptedServer
) -> None:
    """Both are configured; the run goes to both from its first drain on, whichever of them can be reached then."""
    training = journals.begin()
    training.started(trainArgs={"model": "yolo11n.pt"})
    training.end()
    port = free_port()
    assert journals.drain(server.url, hub=f"http://127.0.0.1:{port}").exit_code == 3
    with scripted_server(hub_received, port=port) as hub:
        assert journals.drain(server.url, hub=hub.url).exit_code == 0
        assert paths(hub) == ["/v1/models"]


class Chaos:
    """A HUB that takes requests as the real one does, without idempotency keys, and answers badly, by a seed.

    Some requests are lost before they are handled, some answers after it; some are told to come later.
    """

    def __init__(self, seed: int) -> None:
        self.models: list[dict[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self.finals: list[bytes] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        with self._lock:
            fate = self._random.choice(["well", "well", "lost", "later", "unavailable", "unanswered", "torn"])
            if fate == "lost":
                return Reply(reset=True)
            if fate == "later":
                return Reply(429, {"message": "later"}, {"Retry-After": "0"})
            if fate == "unavailable":
                return Reply(self._random.choice([408, 500, 502, 503, 504]), b"<html>")
            answer = Reply(body={"success": True, "data": self._take(request)})
        return {"unanswered": Reply(reset=True), "torn": replace(answer, cut=3)}.get(fate, answer)

    def _take(self, request: Request) -> dict[str, Any]:
        if request.method == "GET":
            return {"results": self.models, "total": len(self.models)}
        if request.path == "/v1/models":
            self.models.append({**request.json(), "id": f"m-{len(self.models)}"})
            return {"id": self.models[-1]["id"]}
        if request.path.endswith("/upload"):
            self.finals.append(request.body)
        else:
            self.metrics |= request.json()["metrics"]
        return {}


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("seed", range(8))
def test_bad_weather_loses_and_doubles_nothing(
    journals: Recordings, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(concurrency, "LEAST_RATE", 1000.0)  # it does not matter here how fast
    chaos = Chaos(seed)
    with scripted_server(chaos) as hub:
        whole(journals, hub.url, 30)
        timing = Timing(first_wait=0.001)
        for _ in range(50):
            if journals.drain(UNUSED, hub=hub.url, timing=timing, max_time=20).exit_code == 0:
                break
    assert len(chaos.models) == 1
    assert sorted(map(int, chaos.metrics)) == list(range(30))
    assert json.loads(chaos.metrics["29"]) == {**LOSSES, **SCORES}
    assert chaos.finals
    assert all(b"weights" in body and b'name="best.pt"' in body for body in chaos.finals)
