from __future__ import annotations

from typing import Any

import pytest

from uploader.errors import ModelUnavailable
from uploader.platforms.hub.model_state import Beginning, beginning

ARGS = {"epochs": 3, "data": "coco8.yaml"}
NEW = {"status": "new", "train_args": ARGS, "weights": "yolo11n.pt", "cfg": "yolo11n.yaml", "data": "coco8.yaml"}


def test_a_trained_model_is_its_best_weights() -> None:
    facts = {**NEW, "status": "trained", "has_last_weights": True, "weights": "https://x/best.pt"}
    assert beginning(facts) == Beginning("https://x/best.pt", {}, is_trained=True)


def test_a_training_with_weights_is_resumed() -> None:
    facts = {**NEW, "has_last_weights": True, "resume": "https://x/last.pt"}
    assert beginning(facts) == Beginning("https://x/last.pt", {"data": "coco8.yaml", "resume": True})


@pytest.mark.parametrize(("pretrained", "source"), [(True, "yolo11n.pt"), (False, "yolo11n.yaml")])
def test_a_new_model_begins_with_its_parent_or_its_architecture(pretrained: bool, source: str) -> None:
    assert beginning({**NEW, "is_pretrained": pretrained}) == Beginning(source, ARGS)


def test_an_argument_that_nobody_chose_is_left_to_the_trainer() -> None:
    assert beginning({**NEW, "train_args": {**ARGS, "patience": None, "cache": False}}).train_args == {
        **ARGS,
        "cache": False,
    }


@pytest.mark.parametrize("facts", [{**NEW, "train_args": {"epochs": 3}}, {**NEW, "train_args": None}])
def test_a_dataset_that_is_not_ready_is_told(facts: dict[str, Any]) -> None:
    with pytest.raises(ModelUnavailable, match="dataset may still be processing"):
        beginning(facts)


def test_a_model_without_a_file_is_told() -> None:
    with pytest.raises(ModelUnavailable, match="names no file"):
        beginning({**NEW, "cfg": None})
