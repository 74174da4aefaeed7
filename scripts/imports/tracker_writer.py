"""Logs with a tracker until it is killed: `python -m imports.tracker_writer TRACKER FOLDER`."""

from __future__ import annotations

import io
import itertools
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Log = Callable[[int, dict[str, float]], None]
EVERY = 10
"""In each such step an image is logged as well, and what the machine does."""


def pixels(step: int) -> np.ndarray[Any, Any]:
    """Return the image of a step; no two are alike."""
    return np.random.default_rng(step).integers(0, 255, (8, 8, 3), dtype=np.uint8)


def picture(step: int) -> bytes:
    """Return the same as a file."""
    into = io.BytesIO()
    Image.fromarray(pixels(step)).save(into, format="PNG")
    return into.getvalue()


def wandb(folder: Path) -> Log:
    import wandb

    often = wandb.Settings(x_stats_sampling_interval=0.1)
    run = wandb.init(project="proj", name="run", id="run", dir=folder, settings=often)

    def log(step: int, values: dict[str, float]) -> None:
        images = {} if step % EVERY else {"seen": wandb.Image(pixels(step))}
        run.log({**values, **images, "text": "x" * random.randint(1, 3000)}, step=step)

    return log


def mlflow(folder: Path) -> Log:
    import mlflow

    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    mlflow.start_run(run_name="run")

    def log(step: int, values: dict[str, float]) -> None:
        mlflow.log_metrics(values, step=step)
        if not step % EVERY:
            mlflow.log_image(pixels(step), key="seen", step=step)
            mlflow.log_metric("system/system_memory_usage_percentage", step / 7, step=step)

    return log


def trackio(folder: Path) -> Log:
    import trackio

    trackio.init(project="proj", name="run")

    def log(step: int, values: dict[str, float]) -> None:
        trackio.log({**values, **({} if step % EVERY else {"seen": trackio.Image(pixels(step))})}, step=step)
        if not step % EVERY:
            trackio.log_system({"memory/percent": step / 7})

    return log


def neptune(folder: Path) -> Log:
    from neptune_scale import Run

    run = Run(project="ws/proj", run_id="run", mode="offline", log_directory=str(folder))

    def log(step: int, values: dict[str, float]) -> None:
        run.log_metrics(values, step=step)
        if not step % EVERY:
            run.log_files({"seen": picture(step)}, step=step)

    return log


def tensorboard(folder: Path) -> Log:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / "run"), flush_secs=1)

    def log(step: int, values: dict[str, float]) -> None:
        numbers = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        image = Summary.Value(tag="seen", image=Summary.Image(encoded_image_string=picture(step)))
        summary = Summary(value=[*numbers, *([] if step % EVERY else [image])])
        writer.add_event(Event(wall_time=1_700_000_000 + step, step=step, summary=summary))

    return log


def main() -> None:
    log = {each.__name__: each for each in (wandb, mlflow, trackio, neptune, tensorboard)}[sys.argv[1]](
        Path(sys.argv[2])
    )
    print("started", os.getpid(), flush=True)
    for step in itertools.count():
        log(step, {"loss": 1 / (step + 1), "val/acc": step / 7})
        time.sleep(0.001)  # threads of the library are to get their turn


if __name__ == "__main__":
    main()
