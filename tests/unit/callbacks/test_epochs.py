from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from uploader.callbacks.epochs import epoch_metrics, epoch_payload


def trainer(**attributes: Any) -> Any:
    def label_loss_items(loss_items: Any = None, prefix: str = "train") -> Any:
        names = [f"{prefix}/box_loss", f"{prefix}/cls_loss"]
        return names if loss_items is None else dict(zip(names, map(float, loss_items), strict=True))

    defaults = {
        "label_loss_items": label_loss_items,
        "tloss": (1.5, 2.5),
        "metrics": {"metrics/mAP50(B)": 0.5},
        "optimizer": SimpleNamespace(param_groups=[{"lr": 0.01}, {"lr": 0.02}]),
        "epoch": 4,
        "start_epoch": 0,
        "fitness": 0.1,
        "best_fitness": 0.2,
        "args": SimpleNamespace(profile=False, imgsz=32),
        "model": None,
    }
    return SimpleNamespace(**{**defaults, **attributes})


def test_metrics_are_losses_validation_and_learning_rate() -> None:
    assert epoch_metrics(trainer()) == {
        "train/box_loss": 1.5,
        "train/cls_loss": 2.5,
        "metrics/mAP50(B)": 0.5,
        "lr": 0.01,
    }


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        ({"tloss": None}, {"metrics/mAP50(B)", "lr"}),
        ({"metrics": None}, {"train/box_loss", "train/cls_loss", "lr"}),
        ({"optimizer": None}, {"train/box_loss", "train/cls_loss", "metrics/mAP50(B)"}),
        ({"optimizer": SimpleNamespace(param_groups=[])}, {"train/box_loss", "train/cls_loss", "metrics/mAP50(B)"}),
    ],
)
def test_what_a_trainer_does_not_have_is_left_out(missing: dict[str, Any], left: set[str]) -> None:
    assert epoch_metrics(trainer(**missing)).keys() == left


def test_an_epoch_says_where_it_stands() -> None:
    system = {"cpu": 50.0}
    payload = epoch_payload(trainer(), 5, system)
    assert {key: payload[key] for key in payload.keys() - {"metrics"}} == {
        "epoch": 5,
        "system": system,
        "fitness": 0.1,
        "best_fitness": 0.2,
    }


@pytest.mark.upstream
def test_a_model_that_cannot_be_measured_costs_nothing_else() -> None:
    payload = epoch_payload(trainer(epoch=0), 0, None)
    assert "modelInfo" not in payload
    assert payload["metrics"]
