from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

import pytest

from uploader.live.run_facts import configuration, script_name, start_facts


@dataclass
class Options:
    lr: float = 0.1
    sizes: list[int] = field(default_factory=lambda: [1, 2])


class Attributes:
    def __init__(self) -> None:
        self.lr = 0.1
        self.model = object


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (None, {}),
        ({"lr": 0.1, 3: {"a": (1,)}}, {"lr": 0.1, "3": {"a": [1]}}),
        (Options(), {"lr": 0.1, "sizes": [1, 2]}),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (Attributes(), {"lr": 0.1, "model": "<class 'object'>"}),
        (7, {"config": 7}),
    ],
)
def test_anything_may_hold_a_configuration(config: object, told: dict[str, Any]) -> None:
    assert configuration(config) == told


def test_arguments_are_text_on_platforms() -> None:
    config = {"epochs": 3, "device": 0, "net": {"depth": [1, 2], "norm": None}}
    assert start_facts(config, resumed=False) == {
        "trainArgs": {"epochs": "3", "device": "0", "net.depth": "[1, 2]", "net.norm": "None"},
        "epochs": 3,
        "device": "0",
    }
    assert start_facts({"resume": False}, resumed=True)["trainArgs"] == {"resume": "True"}


@pytest.mark.parametrize("total", [None, 0, -1, True, "3", 2.5])
def test_a_number_of_epochs_that_is_none_is_not_told(total: object) -> None:
    assert "epochs" not in start_facts({"epochs": total}, resumed=False)


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("/home/me/train.py", "train"),
        ("/home/me/mine/__main__.py", "mine"),
        ("", "run"),
        ("-c", "run"),
        ("/usr/lib/ipykernel_launcher.py", "notebook"),
    ],
)
def test_a_run_is_called_as_its_script(argument: str, name: str) -> None:
    assert script_name(argument) == name
