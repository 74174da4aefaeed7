"""Which file and which arguments to train a HUB model with, by its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uploader.errors import ModelUnavailable


@dataclass(frozen=True)
class Beginning:
    """How to continue with a model.

    Attributes:
        source: The file to load: a name that Ultralytics knows (`yolo11n.pt`, `yolo11n.yaml`), or a URL.
        train_args: Arguments to train it with, as far as they were chosen; empty for a trained model.
        is_trained: Whether it is trained already.
    """

    source: str
    train_args: Mapping[str, Any]
    is_trained: bool = False


def beginning(facts: Mapping[str, Any]) -> Beginning:
    """Return how to continue with a model: use it, resume its training, or begin it.

    Args:
        facts: HUB's answer about the model, in the names of `hub-sdk` 0.0.25.

    Raises:
        ModelUnavailable: Its dataset is not ready, or HUB has no file for it.
    """
    if facts.get("status") == "trained":
        return Beginning(_file(facts, "weights"), {}, is_trained=True)
    if facts.get("has_last_weights"):
        return Beginning(_file(facts, "resume"), _with_data({"data": facts.get("data"), "resume": True}))
    source = _file(facts, "weights" if facts.get("is_pretrained") else "cfg")
    chosen = {name: value for name, value in (facts.get("train_args") or {}).items() if value is not None}
    return Beginning(source, _with_data(chosen))


def _file(facts: Mapping[str, Any], name: str) -> str:
    source = facts.get(name)
    if not isinstance(source, str) or not source:
        raise ModelUnavailable(f"HUB names no file to begin with ('{name}'); open the model's page to see its state")
    return source


def _with_data(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if not arguments.get("data"):
        raise ModelUnavailable("the model's dataset may still be processing: wait a minute and try again")
    return arguments
