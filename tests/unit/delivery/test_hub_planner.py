"""What HUB gets of a run's events. `RECORDED` is what upstream 8.3.245 sent of a real three-epoch training."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import journal
from journal.records import Event
from uploader.platforms.hub.planner import KINDS, LONGEST_METRICS, plan
from uploader.platforms.plans import Plan

LOSSES = {"train/box_loss": 6.62147, "train/cls_loss": 4.42852, "train/dfl_loss": 4.21852}
SCORES = {
    "metrics/precision(B)": 0.0,
    "metrics/recall(B)": 0.0,
    "metrics/mAP50(B)": 0.0,
    "metrics/mAP50-95(B)": 0.0,
}
VALIDATION = {"val/box_loss": 6.93966, "val/cls_loss": 4.44635, "val/dfl_loss": 4.16003}
INFO = {"parameters": 2590035, "gflops": 6.438, "speedMs": 8.538}
RECORDED = {
    "model": {
        "config": {"batchSize": 8, "epochs": 3, "imageSize": 96, "patience": 100, "device": "cpu", "cache": "False"},
        "dataset": {"name": "ds/data.yaml"},
        "lineage": {"architecture": {"name": "yolo11n"}, "parent": {}},
        "meta": {"name": "yolo11n.yaml"},
    },
    "metrics": {
        "0": {
            **LOSSES,
            **SCORES,
            **VALIDATION,
            "model/parameters": 2590035,
            "model/GFLOPs": 6.438,
            "model/speed_PyTorch(ms)": 8.538,
        },
        "1": {**LOSSES, **SCORES, **VALIDATION},
        "2": {**LOSSES, **SCORES},
    },
}
ARGS = {
    "batch": "8",
    "epochs": "3",
    "imgsz": "96",
    "patience": "100",
    "device": "cpu",
    "cache": "False",
    "data": "ds/data.yaml",
    "model": "yolo11n.yaml",
}


class Story:
    """Events of one run, numbered as they come."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, kind: str, payload: dict[str, Any], key: str = "") -> Story:
        number = len(self.events) + 1
        text = journal.encode(payload)
        self.events.append(Event(number, "run", 1, kind, key, text, "2026-01-01T00:00:00.000000Z"))
        return self

    def started(self, environment: dict[str, str] | None = None, **args: str) -> Story:
        environment = {"uploaderRun": "run", **(environment or {})}
        return self.add("training_started", {"trainArgs": {**ARGS, **args}, "environment": environment}, "1")

    def epoch(self, number: int, *, validated: bool = True, score: float = 0.0) -> Story:
        metrics = {**LOSSES, **SCORES, **(VALIDATION if validated else {}), "metrics/mAP50-95(B)": score}
        payload = {"epoch": number, "metrics": {**metrics, "lr": 0.1, "fitness": 0.2}, "system": {}, "fitness": 0.2}
        return self.add("epoch_end", payload | ({"modelInfo": INFO} if number == 0 else {}), str(number))

    def checkpoint(self, role: str, epoch: int, filename: str = "", *, best: bool = True) -> Story:
        facts = {"epoch": epoch, "filename": filename or f"{role}.pt", "publish": role != "last", "isBest": best}
        return self.add("checkpoint", {"role": role, "sha256": role[0] * 64, "size": 7, **facts}, role)


def whole(epochs: int = 3, score: float = 0.25) -> Story:
    """A training as 8.4 records it: the final evaluation is one more epoch."""
    story = Story().started()
    for number in range(epochs):
        story.epoch(number).checkpoint("last", number).checkpoint("best", number)
    return story.epoch(epochs, validated=False, score=score).checkpoint("final", 1, "best.pt")


def kinds_of(it: Plan) -> list[tuple[str, int]]:
    return [(one.kind, one.stage) for one in it.deliveries]


def metrics_of(it: Plan) -> dict[str, Any]:
    bodies = [json.loads(one.body) for one in it.deliveries if one.kind == "metrics"]
    assert all(body["type"] == "metrics" for body in bodies)
    return {number: json.loads(text) for body in bodies for number, text in body["metrics"].items()}


def forms_of(it: Plan) -> list[tuple[str, dict[str, Any]]]:
    bodies = [json.loads(one.body) for one in it.deliveries if one.lane == "upload"]
    return [(body["filename"], body["form"]) for body in bodies]


def test_a_whole_training_is_what_upstream_sent() -> None:
    planned = plan(whole(score=0.0).events, 0)
    assert kinds_of(planned) == [("training_started", 1), ("metrics", 2), ("checkpoint", 2), ("checkpoint", 3)]
    wish = json.loads(planned.deliveries[0].body)
    assert wish["meta"].pop("uploaderRun") == "run"
    assert wish == RECORDED["model"]
    assert metrics_of(planned) == RECORDED["metrics"]
    assert forms_of(planned) == [
        ("last.pt", {"epoch": 2, "type": "epoch", "isBest": True}),
        ("best.pt", {"epoch": 2, "type": "final", "map": 0.0}),
    ]
    assert '"map":0.0' in planned.deliveries[-1].body  # as upstream writes it, not as 0


def test_a_final_evaluation_that_shares_the_last_epochs_number_replaces_it_too() -> None:
    """As 8.3 records it."""
    story = Story().started().epoch(0).epoch(1).epoch(1, validated=False).checkpoint("final", 0)
    planned = plan(story.events, 0)
    assert sorted(metrics_of(planned)) == ["0", "1"]
    assert forms_of(planned)[-1][1]["epoch"] == 1


@pytest.mark.parametrize(
    ("version", "numbers"), [("8.3.245", "012"), ("8.4.51", "012"), ("8.4.52", "0123"), ("9.0.1", "0123")]
)
def test_a_final_evaluation_has_the_number_that_upstream_gives_it(version: str, numbers: str) -> None:
    """From 8.4.52 on it is one epoch more, and the last one keeps its validation losses."""
    started = Story().started({"ultralyticsVersion": version}).events[0]
    events = [started, *whole().events[1:]]
    for split in range(2, len(events)):
        first = plan(events[:split], 0)
        epochs = [event for event in events[:split] if event.kind == "epoch_end"]
        second = plan(events[split:], first.stage, [started, *epochs[-2:]])
        told = metrics_of(first) | metrics_of(second)
        assert "".join(sorted(told)) == numbers
        assert ("val/box_loss" in told["2"]) == (len(numbers) == 4)
        assert (forms_of(first) + forms_of(second))[-1][1][
            "epoch"
        ] == 2  # the last that was trained, whatever number the evaluation has


def test_an_early_end_is_numbered_by_what_came_before() -> None:
    story = whole(3)
    for split in range(1, len(story.events)):
        first = plan(story.events[:split], 0)
        before = [event for event in story.events[:split] if event.kind == "epoch_end"][-2:]
        second = plan(story.events[split:], first.stage, before)
        assert sorted(metrics_of(first) | metrics_of(second)) == ["0", "1", "2"]
        assert (forms_of(first) + forms_of(second))[-1] == ("best.pt", {"epoch": 2, "type": "final", "map": 0.25})
        assert [stage for _, stage in kinds_of(first) + kinds_of(second)] == sorted(
            stage for _, stage in kinds_of(first) + kinds_of(second)
        )


@pytest.mark.parametrize("number", [0, 1])  # 8.3 records it as the last epoch again, 8.4 as one more
def test_the_only_epoch_keeps_the_facts_about_the_model(number: int) -> None:
    story = Story().started().epoch(0)
    evaluated = {"epoch": number, "metrics": {**LOSSES, **SCORES}}
    planned = plan(story.add("epoch_end", evaluated, str(number)).events, 0)
    facts = {name: value for name, value in RECORDED["metrics"]["0"].items() if name.startswith("model/")}
    assert metrics_of(planned) == {"0": {**LOSSES, **SCORES, **facts}}


def test_a_final_evaluation_waits_for_the_epoch_that_it_replaces() -> None:
    story = whole()
    first = plan(story.events[:-2], 0)
    second = plan(story.events[-2:], first.stage, [event for event in story.events[:-2] if event.kind == "epoch_end"])
    assert kinds_of(second) == [("metrics", first.stage + 2), ("checkpoint", first.stage + 3)]


def test_two_hundred_epochs_are_one_request() -> None:
    planned = plan(whole(200).events, 0)
    assert [kind for kind, _ in kinds_of(planned)].count("metrics") == 1
    assert len(metrics_of(planned)) == 200


def test_a_request_has_a_limit() -> None:
    story = Story().started()
    for number in range(2000):
        story.epoch(number)
    bodies = [one.body for one in plan(story.events, 0).deliveries if one.kind == "metrics"]
    assert len(bodies) > 1
    assert all(len(body) < 1.2 * LONGEST_METRICS for body in bodies)
    assert len(metrics_of(plan(story.events, 0))) == 2000


def test_a_single_epoch_may_be_longer_than_the_limit() -> None:
    story = Story().add("epoch_end", {"epoch": 7, "metrics": {"x" * LONGEST_METRICS: 1.0}}, "7")
    assert len(metrics_of(plan(story.events, 1))) == 1


def test_a_final_last_pt_is_sent_as_best_pt() -> None:
    planned = plan(Story().started().checkpoint("final", 4, "last.pt").events, 0)
    assert forms_of(planned) == [("best.pt", {"epoch": 4, "type": "final", "map": 0})]


def test_a_resumed_session_is_a_milestone() -> None:
    story = Story().started().epoch(0).epoch(1).started().epoch(1)
    planned = plan(story.events, 0)
    assert kinds_of(planned) == [("training_started", 1), ("metrics", 2), ("training_started", 3), ("metrics", 6)]


def test_a_training_without_validation_keeps_its_epochs() -> None:
    story = Story().started()
    for number in range(3):
        story.add("epoch_end", {"epoch": number, "metrics": {**LOSSES, "lr": 0.1}}, str(number))
    assert sorted(metrics_of(plan(story.events, 0))) == ["0", "1", "2"]


def test_validations_without_losses_keep_their_epochs() -> None:
    """As a validator of one's own gives them; the final evaluation trains nothing, so its training losses stay."""
    story = Story().started()
    for number, loss in enumerate((3.0, 2.0, 1.0, 1.0)):
        story.add("epoch_end", {"epoch": number, "metrics": {"train/loss": loss, "metrics/acc": number}}, str(number))
    assert {number: metrics["metrics/acc"] for number, metrics in metrics_of(plan(story.events, 0)).items()} == {
        "0": 0,
        "1": 1,
        "2": 3,
    }
    split = plan(story.events[:3], 0)
    rest = plan(story.events[3:], split.stage, story.events[1:3])
    assert sorted(metrics_of(split) | metrics_of(rest)) == ["0", "1", "2"]


@pytest.mark.parametrize("said", [None, False])
def test_epochs_that_nothing_tells_apart_keep_their_numbers(said: bool | None) -> None:
    story = Story().started()
    told = {} if said is None else {"evaluation": said}
    metrics = {"metrics/acc": 0.5} if said is None else {"metrics/acc": 0.5, "train/loss": 1.0}
    for number in range(3):
        story.add("epoch_end", {"epoch": number, "metrics": metrics, **told}, str(number))
    assert metrics_of(plan(story.events, 0)) == {str(number): metrics for number in range(3)}
    story.add("epoch_end", {"epoch": 3, "metrics": {"metrics/acc": 0.75}, "evaluation": True}, "3")
    assert metrics_of(plan(story.events, 0))["2"] == {"metrics/acc": 0.75}


def test_pretrained_weights_are_the_parent_and_odd_arguments_stay_text() -> None:
    story = Story().started(model="yolo11n.pt", imgsz="[640, 480]", batch="0.7", patience="soon", device="None")
    wish = json.loads(plan(story.events, 0).deliveries[0].body)
    assert wish["lineage"] == {"architecture": {"name": "yolo11n"}, "parent": {"name": "yolo11n.pt"}}
    assert wish["config"] | {"epochs": 0} == {
        "batchSize": 0.7,
        "epochs": 0,
        "imageSize": [640, 480],
        "patience": "soon",
        "device": "None",
        "cache": "False",
    }


def test_the_training_of_an_existing_model_makes_none() -> None:
    planned = plan(Story().started({"hubModel": "m-9"}).events, 0)
    assert json.loads(planned.deliveries[0].body) == {"modelId": "m-9"}


def test_every_kind_that_matters_is_asked_for() -> None:
    assert {event.kind for event in whole().events} == KINDS


@pytest.mark.parametrize(("resume", "told"), [("runs/train/weights/last.pt", {"resumed": True}), ("False", {})])
def test_the_client_is_told_of_a_training_that_goes_on(resume: str, told: dict[str, bool]) -> None:
    planned = plan(Story().started(resume=resume).events, 0)
    wish = json.loads(planned.deliveries[0].body)
    assert {name: value for name, value in wish.items() if name == "resumed"} == told


def test_what_two_sessions_tell_goes_one_after_the_other() -> None:
    """Also where the older one's epoch came so late that it lies in the middle of the newer one's."""
    now, late, again = Story().epoch(3).epoch(2).epoch(2).events
    events = [replace(now, generation=2), replace(late, generation=1), replace(again, generation=2)]
    assert [one.stage for one in plan(events, 2, (), 2).deliveries] == [2, 4, 8]  # the last replaces, too
    assert [one.stage for one in plan(events[:1], 2, (), 1).deliveries] == [4]
