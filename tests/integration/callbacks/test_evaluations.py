"""Whether what ends is the final evaluation: a recording knows, and says so where metrics would leave it open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.journals import rows
from support.trainers import SmallTrainer

pytestmark = pytest.mark.usefixtures("ultralytics")

Metrics = Mapping[str, float]
SCORE = {"metrics/acc": 0.5}
CHECKED = {"val/loss": 0.5, **SCORE}


class Evaluating(SmallTrainer):
    """Trains two epochs, and evaluates the result as another one, or as the last one again (before 8.4.52)."""

    def __init__(self, folder: Path, epochs: Metrics, evaluation: Metrics, *, again: bool, begins: bool) -> None:
        super().__init__(folder, during=lambda _: begins and self.ours.on_train_epoch_start(self))
        self.epochs, self.metrics = 2, dict(epochs)
        self.evaluation, self.again = dict(evaluation), again

    def final_eval(self) -> None:
        self.epoch, self.metrics = self.epoch + (not self.again), self.evaluation
        self.ours.on_fit_epoch_end(self)


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize(
    ("epochs", "evaluation", "said"),
    [
        (CHECKED, SCORE, [None, None, None]),  # the metrics tell
        (SCORE, SCORE, [False, False, True]),
        (CHECKED, CHECKED, [None, None, True]),
        ({}, {}, [None, None, True]),
    ],
)
def test_it_is_said_where_metrics_leave_it_open(
    tmp_path: Path, epochs: Metrics, evaluation: Metrics, said: list[Any], again: bool
) -> None:
    Evaluating(tmp_path, epochs, evaluation, again=again, begins=True).train()
    found = rows(tmp_path / "journal", "SELECT payload FROM events WHERE kind = 'epoch_end' ORDER BY id")
    assert [json.loads(payload).get("evaluation") for (payload,) in found] == said
    assert rows(tmp_path / "journal", "SELECT epochs FROM run_overview") == [(2,)]


def test_a_trainer_that_does_not_tell_when_epochs_begin_tells_by_an_epoch_that_ends_again(tmp_path: Path) -> None:
    Evaluating(tmp_path, CHECKED, CHECKED, again=True, begins=False).train()
    found = rows(tmp_path / "journal", "SELECT payload FROM events WHERE kind = 'epoch_end' ORDER BY id")
    assert [json.loads(payload).get("evaluation") for (payload,) in found] == [None, None, True]


def test_nothing_is_said_where_neither_tells(tmp_path: Path) -> None:
    Evaluating(tmp_path, SCORE, SCORE, again=False, begins=False).train()
    found = rows(tmp_path / "journal", "SELECT payload FROM events WHERE kind = 'epoch_end'")
    assert ["evaluation" in json.loads(payload) for (payload,) in found] == [False] * 3
