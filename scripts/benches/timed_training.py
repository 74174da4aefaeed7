"""One training in this process, which notes how long its epochs and its callbacks take: `HOW FOLDER [--quick]`."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benches.append import AT, EVENT, RUN
from benches.measure import seconds
from benches.training import FULL, MEMORY, NORMAL
from journal.encoding import encode

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from dataset import make_dataset
from torchvision_ops import ensure_torchvision_ops

EPOCHS = 8
_ROW = (RUN, 1, "epoch_end", "1", encode(EVENT), AT)


class Raw:
    """Writes the same row by sqlite3 alone, and appends it to a list."""

    def __init__(self, folder: Path) -> None:
        self._connections = {name: _opened(folder / f"{name}.db", name) for name in ("FULL", "NORMAL")}
        self._list: list[object] = []

    def measure(self, waits: dict[str, list[float]]) -> None:
        """Measure each of them once."""
        waits[FULL].append(seconds(lambda: self._insert("FULL")))
        waits[NORMAL].append(seconds(lambda: self._insert("NORMAL")))
        waits[MEMORY].append(seconds(lambda: self._list.append(dict(EVENT))))

    def _insert(self, name: str) -> None:
        connection = self._connections[name]
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", _ROW)
        connection.commit()


def _opened(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    for pragma in ("wal_autocheckpoint=0", "mmap_size=0", "journal_mode=WAL", f"synchronous={synchronous}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE events (run_id, session_id, kind, key, payload, created_at)")
    return connection


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
    _time(BaseTrainer, waits, epochs, Raw(folder) if how == "alone" else None)
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
    (folder / "times.json").write_text(json.dumps({"waits": waits, "epochs": epochs}), "utf-8")


def _time(trainer: Any, waits: dict[str, list[float]], epochs: list[float], raw: Raw | None) -> None:
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
            if raw:
                raw.measure(waits)

    trainer.run_callbacks = timed


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), quick="--quick" in sys.argv)
