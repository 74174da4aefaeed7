"""A trainer's own record of its epochs, and the events that callbacks make of the same epochs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from support.journals import dead_pid
from support.recordings import Recordings, Training

from journal.checkpoints.salvage import RUN_FILE

HEAD = "epoch,time,train/box_loss,metrics/mAP50-95(B),val/box_loss,lr/pg0\n"


def metrics(epoch: int, trial: int = 0) -> dict[str, float]:
    """Return the metrics of an epoch, from 0; another trial of it comes to other ones."""
    loss = 1 / (epoch + 3) + trial / 7
    return {"train/box_loss": loss, "metrics/mAP50-95(B)": 0.0, "val/box_loss": 2 * loss, "lr": 0.01}


def epoch_end(epoch: int, trial: int = 0) -> dict[str, Any]:
    """Return the payload of the event of its end."""
    return {"epoch": epoch, "metrics": metrics(epoch, trial), "system": {}, "fitness": 0.0, "best_fitness": 0.0}


def write_results(folder: Path, *epochs: int, trial: int = 0) -> None:
    """Append epochs to a folder's record as a trainer does."""
    file = folder / "results.csv"
    head = "" if file.exists() else HEAD
    with file.open("a") as record:
        record.write(head + "".join(row(epoch, trial) for epoch in epochs))


def row(epoch: int, trial: int = 0) -> str:
    numbers = (epoch + 1, 10 * epoch, *metrics(epoch, trial).values())
    return ",".join(f"{number:.6g}" for number in numbers) + "\n"


def killed(journals: Recordings, *recorded: int, trained: int, **session: Any) -> Training:
    """Record some epochs of a training whose process is gone, and the trainer's own record of its first ones."""
    training = journals.begin()
    training.started(trainArgs={"save_dir": training.run.save_dir})
    for epoch in recorded:
        training.event("epoch_end", epoch_end(epoch), str(epoch))
    change(journals, **{"pid": dead_pid(), **session})
    folder = Path(training.run.save_dir)
    folder.mkdir()
    (folder / RUN_FILE).write_text(json.dumps({"run": training.run.id}))
    write_results(folder, *range(trained))
    return training


def change(journals: Recordings, **session: Any) -> None:
    """Change the rows of all sessions."""
    columns = ", ".join(f"{name} = ?" for name in session)
    with closing(sqlite3.connect(journals.journal.database)) as connection, connection:
        connection.execute(f"UPDATE sessions SET {columns}", tuple(session.values()))
