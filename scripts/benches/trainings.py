"""Journals with a given number of events, and drains of them through the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import journal
from benches.append import METRICS
from benches.servers import KEY
from uploader.platforms.registry import DEFAULT, PLATFORMS

_ADDRESSES = {spec.name: spec.url_variable for spec in PLATFORMS}


def epoch_end(epoch: int) -> dict[str, Any]:
    """Return an event of twelve floats."""
    return {"epoch": epoch, "metrics": METRICS}


def point(epoch: int) -> dict[str, Any]:
    """Return an event of one float, another one in each epoch."""
    return {"epoch": epoch, "metrics": {"train/loss": 1 / (epoch + 1)}}


def record(folder: Path, epochs: int) -> Path:
    """Create a journal of one completed training; return its folder."""
    with journal.open(folder, durability="process") as opened:
        writer = opened.writer()
        run = writer.start_run(project="bench", name=folder.name, save_dir=str(folder))
        session = writer.start_session(run.id)
        started = {"trainArgs": {}, "epochs": epochs, "device": "cpu", "environment": {"uploaderRun": run.id}}
        writer.append(run.id, session, "training_started", started, "1")
        for epoch in range(epochs):
            writer.append(run.id, session, "epoch_end", epoch_end(epoch), str(epoch))
        writer.end_session(session, "complete")
        writer.close()
        opened.fold_wal()
    return folder


def record_many(folder: Path, runs: int, epochs: int, told: Callable[[int], dict[str, Any]] = epoch_end) -> Path:
    """Create a journal of so many completed trainings; return its folder.

    Args:
        folder: The journal.
        runs: How many there are to be.
        epochs: How many each trains.
        told: Returns the event of an epoch; by default one of twelve floats.
    """
    with journal.open(folder, durability="process") as opened:
        writer = opened.writer()
        for number in range(runs):
            run = writer.start_run(project="bench", name=f"train-{number}", save_dir=str(folder / str(number)))
            session = writer.start_session(run.id)
            writer.append(run.id, session, "training_started", {"trainArgs": {}, "epochs": epochs}, "1")
            for epoch in range(epochs):
                writer.append(run.id, session, "epoch_end", told(epoch), str(epoch))
            writer.append(run.id, session, "training_complete", {"results": {}})
            writer.end_session(session, "complete")
        writer.close()
        opened.fold_wal()
    return folder


def uploader(*arguments: object) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "uploader", *map(str, arguments)]


def environment(url: str, platform: str = "ultralytics") -> dict[str, str]:
    """Return an environment in which drains deliver to `url`, as a single platform: a run would go to both of two."""
    own = {name: value for name, value in os.environ.items() if name not in _ADDRESSES.values()}
    return {**own, _ADDRESSES[platform]: url, DEFAULT.key_variable: KEY}


def drain(folder: Path, url: str) -> None:
    """Drain a journal in a new process, and check that everything arrived."""
    command = uploader("drain", "--journal", folder, "--json")
    subprocess.run(command, env=environment(url), stdout=subprocess.DEVNULL, check=True)
