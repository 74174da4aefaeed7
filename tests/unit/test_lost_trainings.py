"""What the soak of lost machines compares: what a platform has of a training, the trainer's record, and another one."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from soaks.lost_trainings import differences

MODEL: dict[str, Any] = {
    "status": "completed",
    "hasWeights": True,
    "classNames": ["square"],
    "trainResults": [{"epoch": number, "metrics": {"loss": 1 / (number + 1)}} for number in range(3)],
}
RECORD = {number: {"loss": 1 / (number + 1)} for number in range(3)}


def _change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda model: model.update(changes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_change(), []),
        (_change(status="running"), [("different", "status is 'running' instead of 'completed'")]),
        (_change(hasWeights=False), [("different", "hasWeights is False instead of True")]),
        (lambda model: model["trainResults"].pop(1), [("lost", "epoch 1")]),
        (
            lambda model: model["trainResults"].append({"epoch": 3, "metrics": {}}),
            [("different", "epoch 3 is one too many")],
        ),
        (
            lambda model: model["trainResults"][2].update(metrics={"loss": 0.5}),
            [("different", "loss of epoch 2 is 0.5, and 0.3333333333333333 in results.csv")],
        ),
        (lambda model: model["trainResults"][2].update(metrics={"loss": 0.33334}), []),  # fewer digits
        (
            lambda model: model["trainResults"][0].update(metrics={}),
            [("different", "epoch 0 has no metrics of results.csv")],
        ),
    ],
)
def test_what_differs_is_found(change: Callable[[dict[str, Any]], object], expected: list[tuple[str, str]]) -> None:
    model = deepcopy(MODEL)
    change(model)
    assert list(differences(model, MODEL, RECORD)) == expected
