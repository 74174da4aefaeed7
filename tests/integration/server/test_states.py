"""The state of a training as people are told it, and its times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.platform_api import EVENTS, Api

from uploader.server.running import running

TRAINED = {"train/loss": 1.0, "val/loss": 1.0, "metrics/mAP50(B)": 0.5}
EVALUATED = {"train/loss": 1.0, "metrics/mAP50(B)": 0.5}


class Clock:
    now = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)

    def __call__(self) -> float:
        return self.now.timestamp()

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(tmp_path: Path, clock: Clock) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key="k", clock=clock) as server:
        yield Api(server.url, "k")


def shown(api: Api, name: str = "train") -> tuple[str, str]:
    """The status of the contract and the state, which all pages show as well."""
    model, key = api.model(name), f"local/demo/{name}"
    assert api.listed(key)["state"] == api.shown(key)["line"]["state"] == model["state"]
    return model["status"], model["state"]


def timing_of(api: Api) -> dict[str, Any]:
    timing: dict[str, Any] = api.get("/api/models/local/demo/train/training")["job"]["timing"]
    return timing


def test_a_training_that_is_not_heard_of_is_silent_then_interrupted_and_runs_when_it_is_again(
    api: Api, clock: Clock
) -> None:
    run = api.start(epochs=3)
    api.event("console_output", {"chunkId": 1, "content": "x"}, modelId=run["modelId"])
    assert shown(api) == ("running", "running")
    clock.forward(minutes=11)
    assert shown(api) == ("running", "silent")
    assert api.facts()["Last heard of"] == api.listed()["heard_at"] == "2026-11-20T12:00:00.000Z"
    assert "10 minutes" in api.listed()["trouble"]
    clock.forward(days=1)
    assert shown(api) == ("running", "interrupted")
    api.event("console_output", {"chunkId": 2, "content": "y"}, modelId=run["modelId"])
    assert shown(api) == ("running", "running")


def test_an_interrupted_training_is_no_failed_one_and_a_failed_one_no_interrupted_one(api: Api) -> None:
    killed, failed = api.start("killed"), api.start("failed")
    api.event("training_failed", {"error": "gone", "code": "Interrupted"}, modelId=killed["modelId"])
    api.event("training_failed", {"error": "CUDA error", "code": "RuntimeError"}, modelId=failed["modelId"])
    assert (shown(api, "killed"), shown(api, "failed")) == (("failed", "interrupted"), ("failed", "failed"))
    api.event("training_started", {}, modelId=killed["modelId"])
    assert shown(api, "killed") == ("running", "running")


def test_a_training_that_was_only_thought_to_be_dead_is_running(api: Api, clock: Clock) -> None:
    run = api.start()
    api.event("training_failed", {"error": "gone", "code": "Interrupted"}, modelId=run["modelId"])
    clock.forward(seconds=1)
    api.event("epoch_end", {"epoch": 0, "metrics": {}}, modelId=run["modelId"])
    assert shown(api) == ("failed", "running")
    clock.forward(days=1)
    assert shown(api) == ("failed", "interrupted")


def test_the_final_evaluation_is_no_epoch_of_a_training_that_stopped_early(api: Api) -> None:
    run = api.start(epochs=100)
    for number, metrics in enumerate((TRAINED | {"train/loss": 2.0}, TRAINED, EVALUATED)):
        api.event("epoch_end", {"epoch": number, "metrics": metrics}, modelId=run["modelId"])
    api.event("training_complete", {}, modelId=run["modelId"])
    assert shown(api) == ("completed", "stopped early")
    assert api.get("/api/models/local/demo/train/training")["job"]["progress"]["currentEpoch"] == 2
    for line in (api.listed(), api.shown()["line"]):
        assert (line["epochs_done"], line["epochs_planned"]) == (2, 100)
    assert api.shown()["epochs"]["at"] == [0, 1]
    assert api.shown()["facts"]["evaluation"] == EVALUATED


def test_an_epoch_of_a_training_without_validation_is_one(api: Api) -> None:
    run = api.start(epochs=100)
    for number, loss in enumerate((3.0, 2.0)):
        metrics = {"train/loss": loss, "metrics/accuracy": 0.5}
        api.event("epoch_end", {"epoch": number, "metrics": metrics}, modelId=run["modelId"])
    assert len(timing_of(api)["epochs"]) == 2


def test_an_end_that_is_told_again_is_the_same_and_another_one_counts_from_when_it_came(api: Api, clock: Clock) -> None:
    run = api.start()
    ends = []
    for event in ("training_failed", "training_failed", "training_complete"):
        clock.forward(seconds=10)
        api.event(event, {}, modelId=run["modelId"])
        ends.append(api.model()["completedAt"])
    assert [each[17:19] for each in ends] == ["10", "10", "30"]


def test_a_training_that_is_sent_again_with_its_times_gets_them(api: Api, clock: Clock) -> None:
    environment = {"environment": {"uploaderRun": "r", "uploaderSession": {"uuid": "s", "generation": 1}}}
    sent = [("training_started", environment, 1), ("epoch_end", {"epoch": 0}, 2), ("training_complete", {}, 3)]
    target = {"project": "demo", "name": "train"}
    for times in ({}, {"Uploader-Times": "2026-11-19T08:00:00Z 2026-11-19T08:00:00Z"}):
        for event, data, number in sent:
            headers = {"Uploader-Order": f"1 s {number} s {number}", **times}
            body = {"event": event, "data": data, **target}
            answer = api.request("POST", EVENTS, json=body, headers=headers).json()
            target = {"modelId": answer["modelId"]}
        clock.forward(minutes=1)
    model, timing = api.model(), timing_of(api)
    told = [model["startedAt"], model["completedAt"], timing["epochs"][0]["endedAt"], timing["runs"][0]["startedAt"]]
    assert told == ["2026-11-19T08:00:00.000Z"] * 4
    assert timing["epochs"][0]["arrivedAt"] == model["createdAt"] == "2026-11-20T12:00:00.000Z"
    assert "Resumed" not in api.facts()


def test_cancelling_again_leaves_the_first_time_and_the_training_ends_when_it_says_so(api: Api, clock: Clock) -> None:
    run = api.start()
    for _ in range(2):
        clock.forward(seconds=10)
        assert api.request("DELETE", "/api/models/local/demo/train/training").ok
    assert api.model()["completedAt"][17:19] == "10"
    for _ in range(2):
        clock.forward(seconds=10)
        api.event("training_complete", {}, modelId=run["modelId"])
    assert api.model()["completedAt"][17:19] == "30"
    assert shown(api) == ("cancelled", "cancelled")
