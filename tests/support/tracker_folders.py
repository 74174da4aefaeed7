"""Makes the offline folder of a tracker by its own library: `python tracker_folders.py TRACKER FOLDER`.

Runs `finished`, `failed` where the tracker knows that, and `killed`, in whose midst the process kills itself. Each logs
STEPS steps of what `metrics` says. In a process of its own: these libraries start threads and change what is global.
"""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from uploader.live.images import image_file

STEPS = 6
TEXT = "x" * 9000
"""So much that a block of wandb's file is full after some steps."""


def metrics(step: int) -> dict[str, float]:
    return {"loss": 1 / (1 << step), "val/acc": float(step)}


def not_finite() -> dict[str, float]:
    return {"nan": math.nan, "inf": -math.inf}


def pixels(value: int) -> Any:
    """Return an image of one colour, as an array."""
    import numpy as np

    return np.full((4, 4, 3), value, dtype=np.uint8)


def picture() -> bytes:
    """Return an image as the bytes of a file."""
    return image_file(pixels(9))[1]


def make(tracker: str, folder: Path) -> None:
    """Have a process make the folder; it ends by SIGKILL, or the library could not be used."""
    folder.mkdir(parents=True, exist_ok=True)
    home = str(folder.with_name(f"{folder.name}-home"))
    settings = {
        **{f"WANDB_{name}_DIR": home for name in ("CACHE", "CONFIG", "DATA")},
        "WANDB__SERVICE_WAIT": "300",
        "WANDB_INIT_TIMEOUT": "300",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "TRACKIO_DIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, __file__, tracker, str(folder)],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _until(there: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not there():
        assert time.monotonic() < until
        time.sleep(0.02)


def wandb(folder: Path) -> None:
    import wandb

    def start(name: str) -> Any:
        config, often = {"lr": 0.1, "opt": {"name": "sgd"}}, wandb.Settings(x_stats_sampling_interval=0.1)
        return wandb.init(project="proj", name=name, id=name, config=config, dir=folder, settings=often)

    run = start("finished")
    for step in range(STEPS):
        run.log(metrics(step))
        print("step", step, flush=True)
    masked = wandb.Image(pixels(1), caption="below", masks={"m": {"mask_data": pixels(1)[..., 0]}})
    several = [wandb.Image(pixels(value)) for value in (2, 3)]
    run.log({**not_finite(), "note": "hello", "nested": {"a": 1}, "seen": masked, "many": several}, step=STEPS)
    (Path(run.dir) / "best.pt").write_bytes(b"weights")
    (folder / "linked.pt").write_bytes(b"weights")
    run.save(str(Path(run.dir) / "best.pt"), base_path=run.dir)
    run.save(str(folder / "linked.pt"), base_path=str(folder))
    run.summary["top"] = 0.9
    run.finish()
    run = start("failed")
    run.log(metrics(0))
    run.finish(exit_code=3)
    run = start("killed")
    for step in range(STEPS):
        run.log({**metrics(step), "text": TEXT})
    file = next(folder.glob("wandb/*/run-killed.wandb"))
    _until(lambda: file.stat().st_size >= 65536)
    for child in psutil.Process().children():  # the program that writes for it
        child.kill()
    _killed()


def mlflow(folder: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    mlflow.set_experiment("one")
    with mlflow.start_run(run_name="finished"):
        mlflow.log_params({"lr": 0.1, "opt/name": "sgd"})
        for step in range(STEPS):
            mlflow.log_metrics(metrics(step), step=step)
        mlflow.log_metrics(not_finite(), step=STEPS)
        (folder / "best.pt").write_bytes(b"weights")
        mlflow.log_artifact(str(folder / "best.pt"), "weights")
        (folder / "plot.png").write_bytes(picture())
        mlflow.log_artifact(str(folder / "plot.png"), "plots")
        mlflow.log_image(pixels(1), key="a/seen", step=2)
        for number in range(2):
            mlflow.log_metrics({"system/cpu_utilization_percentage": 5.0, "system/other": 1.0}, step=number)
        mlflow.set_tag("team", "a")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("loss", 0.5, step=1)
    with mlflow.start_run(run_name="deleted") as deleted:
        mlflow.log_metric("loss", 1)
    mlflow.delete_run(deleted.info.run_id)
    mlflow.start_run(run_name="failed")
    mlflow.log_metrics(metrics(0), step=0)
    mlflow.end_run("FAILED")
    mlflow.set_experiment("two")
    mlflow.start_run(run_name="killed")
    for step in range(STEPS):
        mlflow.log_metrics(metrics(step), step=step)
    _killed()


def trackio(folder: Path) -> None:
    import trackio

    def rows() -> int:
        try:
            connection = sqlite3.connect(folder / "proj.db")
            return connection.execute("SELECT count(*) FROM metrics WHERE run_name = 'killed'").fetchone()[0]
        except sqlite3.Error:
            return 0

    trackio.init(project="proj", name="finished", config={"lr": 0.1, "opt": {"name": "sgd"}})
    for step in range(STEPS):
        trackio.log(metrics(step))
    trackio.log(
        {**not_finite(), "note": "hello", "nested": {"a": 1}, "seen": trackio.Image(pixels(1), caption="below")}
    )
    trackio.log_system({"gpu/0/memory_usage": 0.5, "other": 1.0})
    trackio.finish()
    trackio.init(project="proj", name="killed")
    for step in range(STEPS):
        trackio.log(metrics(step))
    _until(lambda: rows() == STEPS)
    _killed()


def neptune(folder: Path) -> None:
    from neptune_scale import Run

    def start(name: str) -> Any:
        kind = {"experiment_name": name, "project": "ws/proj", "run_id": name, "mode": "offline"}
        return Run(**kind, log_directory=str(folder), enable_console_log_capture=True)

    run = start("finished")
    run.log_configs({"lr": 0.1, "opt/name": "sgd"})
    for step in range(STEPS):
        run.log_metrics(metrics(step), step=step)
        print("step", step, flush=True)
    run.log_metrics({"half": 1.0}, step=2.5)
    run.log_string_series({"note": "hello"}, step=STEPS)
    run.add_tags(["a"])
    run.assign_files({"plots/a.png": picture()})
    run.log_files({"seen": picture()}, step=2)
    run.close()
    run = start("killed")
    for step in range(STEPS):
        run.log_metrics(metrics(step), step=step)
    database = next(folder.glob("ws_proj_killed_*/*.sqlite3"))
    count = "SELECT count(*) FROM run_operations WHERE instr(operation, CAST('loss' AS BLOB))"
    _until(lambda: sqlite3.connect(database).execute(count).fetchone()[0] == STEPS)
    _killed()


def tensorboard(folder: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    def write(writer: EventFileWriter, step: int, values: dict[str, float]) -> None:
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        writer.add_event(Event(wall_time=1_700_000_000 + step, step=step, summary=summary))

    whole = EventFileWriter(str(folder / "finished"))
    for step in range(STEPS):
        write(whole, step, metrics(step))
    write(whole, STEPS, not_finite())
    summary = Summary(value=[Summary.Value(tag="seen", image=Summary.Image(encoded_image_string=picture()))])
    whole.add_event(Event(wall_time=1_700_000_000 + 2, step=2, summary=summary))
    whole.add_event(Event(wall_time=1_700_000_000 + 3, step=3, summary=Summary(value=[_newer_images("newer")])))
    grouped = EventFileWriter(str(folder / "finished" / "loss_train"))
    write(grouped, 0, {"loss": 7.0})
    for writer in (whole, grouped):
        writer.close()
    killed = EventFileWriter(str(folder / "killed"))
    for step in range(STEPS):
        write(killed, step, metrics(step))
    killed.flush()
    _killed()


def _newer_images(tag: str) -> Any:
    """Return two images as `tf.summary.image` of TensorFlow 2 writes them."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.image import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    kind = metadata.create_summary_metadata("", "", converted_to_tensor=True)
    return Summary.Value(tag=tag, tensor=make_tensor_proto([b"4", b"4", picture(), b"none"]), metadata=kind)


if __name__ == "__main__":
    {each.__name__: each for each in (wandb, mlflow, trackio, neptune, tensorboard)}[sys.argv[1]](Path(sys.argv[2]))
