"""The trainings of the pictures, recorded as a loop of anybody's is: by `uploader.start_run`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import uploader
from gallery.numbers import epochs
from gallery.scenes import scene
from gallery.stage import Clock

NOW = datetime(2026, 11, 27, 16, 42, tzinfo=timezone.utc)
"""When the pictures are taken."""
MAIN, RUNNING = "yolo11m-960", "yolo11m-960-aug"
MODEL_MB = {"n": 5.4, "s": 19.2, "m": 40.6}


@dataclass(frozen=True)
class Training:
    """A training that is told.

    Attributes:
        name: Its name.
        hours_ago: When it began, before the pictures are taken.
        best: The mAP50-95 that it comes to.
        epoch_seconds: How long an epoch takes.
        config: Its hyper-parameters, beside those that all have.
        project: Its project.
        planned: How many epochs there are to be.
        ends_after: How many epochs it gets to; None for all.
        error: Why it fails there; None where it does not.
        images: Whether it logs some.
        size: Of the model.
    """

    name: str
    hours_ago: float
    best: float
    epoch_seconds: float
    config: dict[str, Any] = field(default_factory=dict)
    project: str = "warehouse"
    planned: int = 100
    ends_after: int | None = None
    error: str | None = None
    images: bool = False
    size: str = "s"

    @property
    def settings(self) -> dict[str, Any]:
        """What it is called with."""
        usual = {"epochs": self.planned, "imgsz": 640, "batch": 16, "lr0": 0.01, "optimizer": "SGD", "mosaic": 1.0}
        data = "pallets.yaml" if self.project == "warehouse" else "apples.yaml"
        return {"model": f"yolo11{self.size}.pt", "data": data, **usual, "seed": 0, "device": "0", **self.config}


OOM = "CUDA out of memory. Tried to allocate 1.56 GiB. GPU 0 has a total capacity of 23.65 GiB"
_LARGE: dict[str, Any] = {"imgsz": 960}
_ORCHARD: dict[str, Any] = {"project": "orchard", "planned": 150}
DELIVERED = (
    Training("yolo11n", 152, 0.512, 41, size="n"),
    Training("yolo11s", 149, 0.561, 58),
    Training("apples-n", 124, 0.634, 33, {"batch": 32}, size="n", **_ORCHARD),
    Training("yolo11m", 102, 0.588, 96, size="m"),
    Training("yolo11m-1280", 98, 0.3, 210, {"imgsz": 1280, "batch": 32}, ends_after=3, error=OOM, size="m"),
    Training("yolo11s-960", 77, 0.583, 104, _LARGE),
    Training("yolo11s-nomosaic", 74, 0.529, 55, {"mosaic": 0.0}, ends_after=64),
    Training("apples-s", 53, 0.671, 47, {"batch": 32}, **_ORCHARD),
    Training(MAIN, 30, 0.609, 151, _LARGE, images=True, size="m"),
)
KILLED = Training("apples-m", 25, 0.69, 88, {"batch": 32}, ends_after=47, size="m", **_ORCHARD)
WAITING = (Training("yolo11s-cos", 5.6, 0.568, 58, {"cos_lr": True}),)
GOES_ON = Training(RUNNING, 3.1, 0.622, 152, {**_LARGE, "mixup": 0.1}, ends_after=72, images=True, size="m")
COMPARED = ("yolo11n", "yolo11s", MAIN)
VERIFIED = ("warehouse/yolo11n", "warehouse/yolo11s", "orchard/apples-n", "warehouse/yolo11m")


def record(training: Training, clock: Clock, journal: Path) -> uploader.ActiveRun:
    """Record a training, up to where it ends by itself; return its run, which is still open."""
    clock.now = NOW - timedelta(hours=training.hours_ago)
    run = uploader.start_run(project=training.project, name=training.name, config=training.settings, journal=journal)
    clock.say(f"Training {training.settings['model']} on {training.settings['data']} for {training.planned} epochs")
    for epoch, values in enumerate(_epochs(training), start=1):  # as the pages count what is planned
        clock.pass_by(training.epoch_seconds * (1 + 0.03 * Random(f"{training.name}{epoch}").gauss(0, 1)))
        clock.say(_line(epoch, training.planned, values))
        run.log(values, step=epoch)
        if training.images and epoch % 25 == 0:
            _show(run, training, epoch)
    return run


def end(run: uploader.ActiveRun, training: Training, clock: Clock) -> None:
    """End a training, with its weights and what it came to."""
    if training.error:
        run.finish(training.error)
        return
    weights = Path(run.folder) / "best.pt"
    weights.write_bytes(Random(training.name).randbytes(int(MODEL_MB[training.size] * 1e6)))
    run.log_checkpoint(weights, role="best", step=_best_epoch(training))
    run.log_plot("PR", *_precision_recall(training))
    clock.pass_by(9)
    run.finish()


def be_killed(training: Training, clock: Clock, journal: Path) -> None:
    """Record a training in a process that is killed before its end."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            record(training, clock, journal)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def _epochs(training: Training) -> Iterator[dict[str, float]]:
    told = epochs(training.best, training.planned, training.name + training.project)
    for count, values in enumerate(told, start=1):
        yield values
        if count == training.ends_after:
            return


def _best_epoch(training: Training) -> int:
    good = [values["metrics/mAP50-95(B)"] for values in _epochs(training)]
    return good.index(max(good)) + 1


def _line(epoch: int, planned: int, values: dict[str, float]) -> str:
    box, classes, good = (values[name] for name in ("train/box_loss", "train/cls_loss", "metrics/mAP50-95(B)"))
    return f"epoch {epoch}/{planned}  box {box:.3f}  cls {classes:.3f}  mAP50-95 {good:.3f}"


def _show(run: uploader.ActiveRun, training: Training, epoch: int) -> None:
    for number in range(2):
        run.log_image(f"val/shelf {number + 1}", scene(f"{number}"), step=epoch)


def _precision_recall(training: Training) -> tuple[list[float], dict[str, list[float]]]:
    recall = [step / 100 for step in range(101)]
    curves = (("carton", 12 * training.best, 0.93), ("pallet", 20 * training.best, 0.82))
    return recall, {
        name: [round(max(0.0, 1 - 0.02 * at - (at**sharp) * down), 4) for at in recall] for name, sharp, down in curves
    }
