from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploader.callbacks.results import best_epoch, class_names, completion_payload, evenly_spaced, validation_sample


def image(f1: float, tp: int = 0, fp: int = 0, fn: int = 0) -> dict[str, Any]:
    return {"f1": f1, "tp": tp, "fp": fp, "fn": fn}


def trainer(**attributes: Any) -> Any:
    defaults = {
        "args": SimpleNamespace(task="detect"),
        "metrics": {"metrics/mAP50(B)": 0.5},
        "fitness": 0.4,
        "best_fitness": 0.6,
        "epoch": 9,
        "data": {"names": {0: "bee"}},
    }
    return SimpleNamespace(**{**defaults, **attributes})


def test_a_validation_is_ranked_by_f1_and_then_by_name() -> None:
    sample = validation_sample({"b_2.jpg": image(0.5, 1, 2, 3), "a_1.jpg": image(0.5, 4), "c.jpg": image(0.1, 5)})
    assert sample == {
        "population": 3,
        "sampling": "f1_rank",
        "rows": [["c", 5, 0, 0], ["a", 4, 0, 0], ["b", 1, 2, 3]],
        "extremes": {
            "worst": [["c", 5, 0, 0], ["a", 4, 0, 0], ["b", 1, 2, 3]],
            "best": [["b", 1, 2, 3], ["a", 4, 0, 0], ["c", 5, 0, 0]],
        },
    }


@pytest.mark.upstream
@pytest.mark.parametrize("population", [1, 99, 101, 5_000, 5_001, 12_345])
def test_a_large_validation_is_sampled_as_upstream_does(population: int) -> None:
    from ultralytics.utils.callbacks import platform

    images = {f"{index}_x.jpg": image((index * 7919 % 1000) / 1000, tp=index) for index in range(population)}
    assert validation_sample(images) == platform._validation_payload(images)


@given(st.integers(0, 300), st.integers(2, 50))
def test_a_sample_is_even_and_keeps_the_ends(length: int, limit: int) -> None:
    chosen = evenly_spaced(range(length), limit)
    assert len(chosen) == min(length, limit)
    assert len(set(chosen)) == len(chosen)
    if length:
        assert (chosen[0], chosen[-1]) == (0, length - 1)


def test_results_hold_metrics_best_epoch_and_names() -> None:
    stopper = SimpleNamespace(best_epoch=7)
    assert completion_payload(trainer(stopper=stopper)) == {
        "results": {"metrics": {"metrics/mAP50(B)": 0.5, "fitness": 0.4}, "bestEpoch": 6, "bestFitness": 0.6},
        "classNames": ["bee"],
        "plots": [],
    }


def test_a_depth_calibration_is_reported() -> None:
    calibration = {"scale": 1.5}
    assert completion_payload(trainer(depth_calibration=calibration))["results"]["calibration"] == calibration


@pytest.mark.parametrize(("task", "reported"), [("detect", True), ("segment", False)])
def test_only_detection_reports_its_images(task: str, reported: bool) -> None:
    box = SimpleNamespace(image_metrics={"1.jpg": image(1)})
    validated = SimpleNamespace(metrics=SimpleNamespace(box=box), names=["bee"])
    payload = completion_payload(trainer(args=SimpleNamespace(task=task), validator=validated))
    assert ("validation" in payload["results"]) is reported


def test_without_a_stopper_the_last_epoch_is_the_best() -> None:
    assert best_epoch(trainer()) == 9


@pytest.mark.parametrize("best", [0, 1])
def test_the_best_epoch_is_never_negative(best: int) -> None:
    assert best_epoch(trainer(stopper=SimpleNamespace(best_epoch=best))) == 0


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ({"validator": SimpleNamespace(names={0: "a", 1: "b"})}, ["a", "b"]),
        ({"validator": SimpleNamespace(names=["a", "b"])}, ["a", "b"]),
        ({"validator": None}, ["bee"]),
        ({"data": None}, None),
        ({"data": {}}, None),
    ],
)
def test_class_names_come_from_the_validator_or_the_data_set(attributes: dict[str, Any], names: object) -> None:
    assert class_names(trainer(**attributes)) == names


def test_a_part_that_a_custom_task_has_otherwise_costs_only_itself() -> None:
    odd = SimpleNamespace(
        plots={1: None}, names=7, metrics=SimpleNamespace(box=SimpleNamespace(image_metrics={"1": 5}))
    )
    payload = completion_payload(trainer(validator=odd))
    assert payload["classNames"] is None
    assert payload["plots"] == []
    assert payload["results"].keys() == {"metrics", "bestEpoch", "bestFitness"}
