"""The situations to compare: trainings of each task, and what may happen during one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIXED: Mapping[str, Any] = {
    "imgsz": 64,
    "batch": 4,
    "nbs": 4,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "warmup_epochs": 0,
    "mosaic": 0,
    "workers": 0,
    "device": "cpu",
    "seed": 0,
    "deterministic": True,
    "amp": False,
    "plots": True,
    "project": "demo",
    "name": "t1",
    "epochs": 2,
}
"""Arguments with which the same training gives the same numbers."""


@dataclass(frozen=True)
class Situation:
    """One comparison.

    Attributes:
        model: The model that is trained from scratch.
        task: The task, which decides the data set.
        arguments: Arguments of the training, in addition to `FIXED`.
        steps: What happens in each training process, one after the other (see `trains.py`).
        since: The first version of Ultralytics that supports it.
        may_differ: Expected differences: patterns of places in a model, and the reasons.
        models: How many models there are at the end.
    """

    model: str = "yolo11n-cls.yaml"
    task: str = "classify"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ("train",)
    since: tuple[int, int, int] = (8, 3, 245)
    may_differ: Mapping[str, str] = field(default_factory=dict)
    models: int = 1


_ENDED = "upstream reports no failure, so its run is shown as running forever"
_SAVED = "upstream uploads the saved file every 15 minutes; ours uploads the last save when the training has ended"
_AGAIN = {"trainResults.*.modelInfo": "a resumed session sends it again, because its model may be new to the platform"}
_FAILED = {
    **dict.fromkeys(("status", "state", "trainingError", "completedAt"), _ENDED),
    **dict.fromkeys(("checkpoints", "file", "hasWeights"), _SAVED),
}
_RANDOM = "the workers' file has a random name"
_LATER = "it was added to the trainer after upstream's callbacks; ours run after all others"

_CONTRACT = "8.3 uses the API of late 2025, which has them among the metrics or not at all; ours uses today's"
_EVALUATED = "upstream sends the final evaluation under the last epoch, over its losses; ours under the next number"
_START = "upstream sends machine readings from the first epoch on; ours also with the start, as today"
_BEST = "upstream sends the last epoch, whichever was the best; ours sends the best, as 8.4.100 does"
_ORDER = "upstream sends the oldest plots of a type first; ours the newest, as today"
_SAMPLE = "upstream sends no validation sample; ours does, as today"
_GOES_ON = "upstream records the console until the process ends, whatever prints; ours until the training has ended"
_ANOTHER = "with upstream a resumed session is another model; with ours it is the same, as with 8.4.190"
OLDER: Mapping[tuple[int, int, int], Mapping[str, str]] = {
    (8, 4, 0): {
        **dict.fromkeys(("metrics.model/*", "trainResults.*.metrics.model/*"), _CONTRACT),
        **dict.fromkeys(("modelInfo", "trainResults.*.modelInfo", "environment*", "device"), _CONTRACT),
        **dict.fromkeys(("classNames", "plots"), _CONTRACT),
    },
    (8, 4, 52): {"trainResults": _EVALUATED},
    (8, 4, 100): dict.fromkeys(("bestEpoch", "results.bestEpoch"), _BEST),
    (8, 4, 190): {
        "system": _START,
        "models": _ANOTHER,
        "consoleChunks": _GOES_ON,
        "plots.*": _ORDER,
        "results.validation": _SAMPLE,
    },
}
"""Expected differences in every situation, with versions below these."""

SITUATIONS: Mapping[str, Situation] = {
    "detect": Situation("yolo11n.yaml", "detect"),
    "segment": Situation("yolo11n-seg.yaml", "segment"),
    "pose": Situation("yolo11n-pose.yaml", "pose"),
    "obb": Situation("yolo11n-obb.yaml", "obb"),
    "classify": Situation(),
    "semantic": Situation("yolo26n-sem.yaml", "semantic", since=(8, 4, 100)),
    "depth": Situation("yolo26n-depth.yaml", "depth", since=(8, 4, 190)),
    # Earlier versions need larger images than these.
    "rtdetr": Situation("rtdetr-l.yaml", "detect", {"epochs": 1}, since=(8, 4, 190)),
    "patience": Situation(arguments={"epochs": 8, "patience": 1, "lr0": 0.0}),
    "time": Situation(arguments={"time": 1.0}, steps=("time is up in epoch 2",)),
    "save-period": Situation(arguments={"save_period": 1, "epochs": 3}),
    "no-val": Situation(arguments={"val": False, "epochs": 3}),
    "no-save": Situation(arguments={"save": False}),
    "no-plots": Situation(arguments={"plots": False}),
    "killed-and-resumed": Situation(arguments={"epochs": 3}, steps=("killed in epoch 2", "resume"), may_differ=_AGAIN),
    "exception": Situation(arguments={"epochs": 3}, steps=("raises in epoch 2",), may_differ=_FAILED),
    "two-trainings": Situation(steps=("train twice",), models=2),
    "late-callbacks": Situation(steps=("callbacks are added late",), may_differ={"*.metrics/later": _LATER}),
    # The address that 8.3 reports to is a constant, which can be replaced only in the first process.
    "ddp": Situation(steps=("workers",), since=(8, 4, 30), may_differ={"environment.command": _RANDOM}),
}
CHECKED = ("exception", "late-callbacks")
"""The situations that the test suite runs."""
