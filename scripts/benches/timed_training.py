"""One training in this process, which notes how long its epochs and its callbacks take: `HOW FOLDER [--quick]`."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benches.append import EVENT, raw
from benches.measure import seconds
from benches.training import FULL, MEMORY, NORMAL

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from dataset import make_dataset
from torchvision_ops import ensure_torchvision_ops

EPOCHS = 8
_HOW = {FULL: "FULL", NORMAL: "NORMAL"}


class Raw:
    """Writes the same row by sqlite3 alone, and appends it to a list."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._inserts = {name: stack.enter_context(raw(_made(folder / how), how)) for name, how in _HOW.items()}
        self._list: list[object] = []

    def measure(self, waits: dict[str, list[float]]) -> None:
        """Measure each of them once."""
        for name, insert in self._inserts.items():
            waits[name].append(seconds(insert))
        waits[MEMORY].append(seconds(lambda: self._list.append(dict(EVENT))))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main(how: str, folder: Path, *, quick: bool) -> None:
    """Train, and write the times."""
    ensure_torchvision_ops()
    from ultralytics import YOLO
    from ultralytics.engine.trainer import BaseTrainer

    model: Any = YOLO("yolo11n.yaml" if quick else "yolo11m.yaml")
    if how == "ours":
        import uploader

        uploader.attach(model)
    waits: dict[str, list[float]] = defaultdict(list)
    epochs: list[float] = []
    with ExitStack() as stack:
        _time(BaseTrainer, waits, epochs, Raw(folder, stack) if how == "alone" else None)
        _train(model, folder, quick=quick)
    (folder / "times.json").write_text(json.dumps({"waits": waits, "epochs": epochs}), "utf-8")


def _train(model: Any, folder: Path, *, quick: bool) -> None:
    small = {"imgsz": 32, "batch": 4, "workers": 0, "device": "cpu", "fraction": 0.1}
    quiet = {"plots": False, "verbose": False, "val": False, "amp": False, "patience": 0}
    model.train(
        data=str(make_dataset(folder)),
        epochs=2 if quick else EPOCHS,
        project=str(folder / "runs"),
        name="bench",
        **small,
        **quiet,
    )


def _time(trainer: Any, waits: dict[str, list[float]], epochs: list[float], beside: Raw | None) -> None:
    """Note the seconds of each event's callbacks from the first epoch's start on, and of each epoch."""
    run_callbacks, began = trainer.run_callbacks, 0.0

    def timed(self: Any, event: str) -> None:
        nonlocal began
        if event == "on_train_epoch_start":
            began = time.perf_counter()
        if event == "on_train_end":
            began = 0.0
        taken = seconds(lambda: run_callbacks(self, event))
        if not began:
            return
        waits[event].append(taken)
        if event == "on_fit_epoch_end":
            epochs.append(time.perf_counter() - began)
            if beside:
                beside.measure(waits)

    trainer.run_callbacks = timed


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), quick="--quick" in sys.argv)
