"""The time that an epoch's callback takes in a real training, with and without a separate thread for the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benches.measure import Result, Setting, seconds, table

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from dataset import make_dataset
from torchvision_ops import ensure_torchvision_ops

EPOCHS = 60
WITHOUT, WITH = "done by the training thread itself", "done by a separate thread"


def run(setting: Setting) -> Result:
    """Train a tiny model; its epochs alternate between the two."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=str(setting.folder))
    ensure_torchvision_ops()
    from ultralytics import YOLO

    import uploader

    readings: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    model: Any = uploader.attach(YOLO("yolo11n.yaml"), journal=setting.folder / "journal")
    _measure(readings)
    model.train(data=str(make_dataset(setting.folder)), epochs=max(4, setting.rounds(EPOCHS)), **_options(setting))
    taken = {name: values[1:] for name, values in readings.items()}  # the first ones also examine the model
    return Result((table("An epoch's callback", "ms", taken, 1e3),), (), NOTES)


def _options(setting: Setting) -> dict[str, Any]:
    small = {"imgsz": 32, "batch": 4, "fraction": 0.1, "workers": 0, "device": "cpu"}
    quiet = {"plots": False, "verbose": False, "val": False, "amp": False, "patience": 0}
    return {**small, **quiet, "project": str(setting.folder / "runs"), "name": "bench"}


def _measure(readings: dict[str, list[float]]) -> None:
    """Measure each epoch's callback, every other one without a separate thread."""
    from uploader.callbacks.trainer_callbacks import PlatformCallbacks
    from uploader.recording import serial_executor

    real, run = PlatformCallbacks.on_fit_epoch_end, serial_executor.SerialExecutor.run
    turns = _turns()

    def by_itself(self: object, job: serial_executor.Job, *_: object, **__: object) -> Exception | None:
        return serial_executor._unless_exiting(serial_executor._outcome(job))

    def measured(self: PlatformCallbacks, trainer: Any) -> None:
        name = next(turns)
        serial_executor.SerialExecutor.run = run if name == WITH else by_itself  # type: ignore[method-assign,assignment]
        readings[name].append(seconds(lambda: real(self, trainer)))
        serial_executor.SerialExecutor.run = run  # type: ignore[method-assign]

    PlatformCallbacks.on_fit_epoch_end = measured  # type: ignore[method-assign]


def _turns() -> Iterator[str]:
    while True:
        yield from (WITHOUT, WITH)


NOTES = (
    "A real training of yolo11n on the CPU, durability `full`; every other epoch's callback runs without the separate "
    "thread. The figures include the whole callback: sampling the machine and writing the event to disk.",
)
