"""Logs with a tracker until it is killed: `python -m imports.tracker_writer TRACKER FOLDER`."""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

Log = Callable[[int, dict[str, float]], None]


def wandb(folder: Path) -> Log:
    import wandb

    run = wandb.init(project="proj", name="run", id="run", dir=folder)
    return lambda step, values: run.log({**values, "text": "x" * random.randint(1, 3000)}, step=step)


def mlflow(folder: Path) -> Log:
    import mlflow

    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    mlflow.start_run(run_name="run")
    return lambda step, values: mlflow.log_metrics(values, step=step)


def trackio(folder: Path) -> Log:
    import trackio

    trackio.init(project="proj", name="run")
    return lambda step, values: trackio.log(values, step=step)


def neptune(folder: Path) -> Log:
    from neptune_scale import Run

    run = Run(project="ws/proj", run_id="run", mode="offline", log_directory=str(folder))
    return lambda step, values: run.log_metrics(values, step=step)


def tensorboard(folder: Path) -> Log:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / "run"), flush_secs=1)

    def log(step: int, values: dict[str, float]) -> None:
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
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
