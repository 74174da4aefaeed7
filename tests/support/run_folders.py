"""The folder of a training with Ultralytics, as its trainer leaves it, and what a recording has of it, without one."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.recordings import Recordings, Training

from journal.clock import to_text
from journal.sessions.identity import Session
from uploader.run_folder.run_file import write_run_file

BEGAN = datetime(2024, 5, 1, 10, 0, 0, tzinfo=timezone.utc)
SECONDS = 60.0
"""An epoch takes so long."""
COLUMNS = ("train/box_loss", "metrics/mAP50(B)", "val/box_loss", "lr/pg0")
ARGUMENTS = "task: detect\nmode: train\nmodel: yolo11n.yaml\ndata: coco8.yaml\nepochs: {epochs}\nname: first\n"


def row(epoch: int, seconds: float | None = None, shift: float = 0.0) -> str:
    """Return the line of an epoch, from 1."""
    took = SECONDS * epoch if seconds is None else seconds
    values = (1 / epoch + shift, epoch / 100, 2 / epoch, 0.01)
    return ",".join(f"{value:.6g}" for value in (epoch, took, *values)) + "\n"


HEAD = ",".join(("epoch", "time", *COLUMNS)) + "\n"


def results(epochs: int) -> str:
    return HEAD + "".join(row(epoch) for epoch in range(1, epochs + 1))


def checkpoint(file: Path, saved: int, *, stripped: bool, best: int | None = None, **further: Any) -> None:
    """Write what `torch.save` would: a ZIP archive with a pickle.

    Args:
        file: Where.
        saved: After how many epochs.
        stripped: Whether the training was over.
        best: The epoch of its metrics, from 1; by default the last.
        further: Members of the checkpoint.
    """
    told = best or saved
    content = {
        "date": (BEGAN + timedelta(seconds=SECONDS * saved)).isoformat(),
        "version": "8.4.190",
        "epoch": -1 if stripped else told - 1,
        "optimizer": None if stripped else {"state": {}},
        "best_fitness": None if stripped else 0.5,
        "train_args": {"task": "detect", "epochs": 3, "name": "first"},
        "train_metrics": {"metrics/mAP50(B)": told / 100, "val/box_loss": 2 / told, "fitness": told / 100},
        "git": {"branch": "main", "commit": "0123456789abcdef", "origin": "https://git.example/repo"},
        "model": None,
        **further,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{file.stem}/data.pkl", pickle.dumps(content, protocol=2))
        archive.writestr(f"{file.stem}/data/0", f"weights after {saved}".encode() * 1_000)


def run_folder(folder: Path, epochs: int = 3, *, total: int | None = None, arguments: str = ARGUMENTS) -> Path:
    """Make the folder of a training that is through with all its epochs, or else was killed after some.

    Args:
        folder: Where; made if it is new.
        epochs: How many were trained.
        total: How many were asked for; by default those.
        arguments: Content of `args.yaml`.
    """
    pytest.importorskip("yaml")  # it reads the arguments; Ultralytics brings it along
    asked = total or epochs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "args.yaml").write_text(arguments.format(epochs=asked))
    (folder / "results.csv").write_text(results(epochs))
    for name in ("last", "best"):
        checkpoint(folder / "weights" / f"{name}.pt", epochs, stripped=epochs == asked)
    age(folder)
    return folder


def recorded(journals: Recordings, folder: Path, epochs: int) -> Training:
    """Record the first epochs of the training of a folder, which says so, with more digits than its file has."""
    begun = to_text(BEGAN)
    run = journals.writer.start_run(project="demo", name="first", save_dir=str(folder), at=begun)
    session = Session(run.id)
    training = Training(journals.journal, journals.writer, run, journals.writer.start_session(run.id, session=session))
    training.started(epochs=3)
    for epoch in range(1, epochs + 1):
        metrics = {"train/box_loss": 1 / epoch, "metrics/mAP50(B)": epoch / 100, "val/box_loss": 2 / epoch, "lr": 0.01}
        training.event("epoch_end", {"epoch": epoch - 1, "metrics": metrics}, str(epoch - 1))
    places = {"journal": journals.journal.path, "begun_at": begun}
    write_run_file(folder, run, session, chunks=0, is_complete=False, **places)
    return training


def age(folder: Path, moment: datetime = BEGAN + timedelta(days=1)) -> None:
    """Have all files of a folder written at a time: nobody trains there now."""
    for path in folder.rglob("*"):
        os.utime(path, (moment.timestamp(),) * 2)


def contents(folder: Path) -> Mapping[str, tuple[bytes, int]]:
    """Return the bytes and the time of each file."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def epoch_times(payloads: Sequence[tuple[str, str]]) -> list[float]:
    """Return how many seconds after the beginning each event happened."""
    return [(datetime.fromisoformat(at.replace("Z", "+00:00")) - BEGAN).total_seconds() for _, at in payloads]
