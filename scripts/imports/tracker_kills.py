"""Kills processes that log with other trackers at random moments; compares an import with each tracker's own reader.

Of each round three folders are compared: as the kill left it, cut at a random byte, and with a random byte changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import text

import journal
from imports import own_readers
from journal.reading.run_reader import RunReader
from uploader.importing.finding import find_runs
from uploader.importing.imported_run import ImportedRun
from uploader.importing.reader import UnreadableRun
from uploader.importing.taking_in import take_in

LIBRARIES = {
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
    "neptune": "neptune_scale",
    "tensorboard": "tensorboard",
}
HISTORY = {
    "wandb": "wandb/*/run-run.wandb",
    "mlflow": "mlruns/*/*/metrics/loss",
    "trackio": "proj.db*",
    "neptune": "*/run_operations.sqlite3*",
    "tensorboard": "run/*tfevents*",
}
ENVIRONMENT = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}


def kill_one(tracker: str, folder: Path, chance: random.Random) -> None:
    """Let a process log, and end it and all that it started by SIGKILL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "imports.tracker_writer", tracker, str(folder)],
        env={**os.environ, **ENVIRONMENT, "TRACKIO_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith(b"started"):
        assert process.poll() is None, tracker
    time.sleep(chance.uniform(0.05, 2.5))
    children = _children_of(process.pid)
    for pid in [*children, process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait()


def _children_of(pid: int) -> list[int]:
    command = ["ps", "-o", "pid=", "--ppid", str(pid)]
    return [int(each) for each in subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()]


def damage(tracker: str, folder: Path, chance: random.Random, how: str) -> None:
    files = [each for each in sorted(folder.glob(HISTORY[tracker])) if each.stat().st_size and "-shm" not in each.name]
    if how == "left" or not files:
        return
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    at = chance.randrange(len(content))
    file.write_bytes(content[:at] if how == "cut" else content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])


def imported(tracker: str, folder: Path) -> list[ImportedRun]:
    reader = import_module(f"uploader.importing.readers.{tracker}_folder").READER
    runs = []
    for found in find_runs([folder], [reader]):
        try:
            runs.append(reader.read(found))
        except UnreadableRun:
            continue
    return runs


def round_of(tracker: str, chance: random.Random, datastore: Path | None, count: Counter[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="tracker-kills-") as name:
        killed = Path(name, "killed")
        killed.mkdir()
        kill_one(tracker, killed, chance)
        for how in ("left", "cut", "changed"):
            folder = Path(name, how)
            shutil.copytree(killed, folder, symlinks=True)
            damage(tracker, folder, chance, how)
            compare(tracker, folder, how, datastore, count)


def compare(tracker: str, folder: Path, how: str, datastore: Path | None, count: Counter[str]) -> None:
    runs = imported(tracker, folder)
    ours: own_readers.Values = {
        (step.number, name): step.values[name]
        for run in runs
        for step in run.steps
        for name in own_readers.NAMES
        if name in step.values
    }
    with journal.open(folder.parent / f"journal-{how}") as opened:
        for run in runs:
            ours.update(_images_and_samples(opened, take_in(opened, run, ()).run.id))
        doubled = sum(take_in(opened, run, ()).how not in ("known", "empty") for run in imported(tracker, folder))
    copy = folder.with_name(f"{folder.name}-own")
    shutil.copytree(folder, copy, symlinks=True)
    own = _own(tracker, copy, datastore, how, count)
    wrong = {key: (own[key], ours.get(key)) for key in own if ours.get(key) != own[key]}
    kinds = Counter(
        "images" if name == own_readers.IMAGE else "samples" if name == own_readers.MEMORY else "values"
        for _, name in ours
    )
    for kind, number in kinds.items():
        count[f"{how}: {kind}"] += number
    count[f"{how}: more than its own"] += len(ours.keys() - own.keys())
    count[f"{how}: MISSED OR OTHER"] += len(wrong)
    count[f"{how}: DOUBLED"] += doubled
    count[f"{how}: with problems"] += any(run.problems for run in runs)
    for key, pair in list(wrong.items())[:3]:
        print("   ", tracker, how, key, pair)


def _images_and_samples(opened: journal.Journal, run: str) -> own_readers.Values:
    """Return what arrived of them in a journal."""
    images = RunReader(opened.begin, run).media()
    with opened.begin(read_only=True) as connection:
        query = text("SELECT key, payload FROM events WHERE run_id = :run AND kind = 'system_metrics'")
        samples = [(key, json.loads(payload)) for key, payload in connection.execute(query, {"run": run})]
    return {
        **{(each.step, each.name): hashlib.sha256(each.content or b"").hexdigest() for each in images},
        **{(at, own_readers.MEMORY): sample["ram"] for at, sample in samples if "ram" in sample},
    }


def _own(tracker: str, copy: Path, datastore: Path | None, how: str, count: Counter[str]) -> own_readers.Values:
    try:
        return getattr(own_readers, tracker)(copy, datastore) or {}
    except Exception as error:  # noqa: BLE001 - it gives nothing then
        count[f"{how}: its own reader raised {type(error).__name__}"] += 1
        return {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trackers", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--datastore", type=Path, help="wandb/sdk/internal/datastore.py of wandb 0.19")
    chosen = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    failed = 0
    for tracker in chosen.trackers:
        if find_spec(LIBRARIES[tracker]) is None:
            print(f"{tracker}: not installed")
            continue
        count: Counter[str] = Counter()
        for number in range(chosen.rounds):
            round_of(tracker, random.Random(f"{chosen.seed}-{tracker}-{number}"), chosen.datastore, count)
        print(
            f"{tracker}: {chosen.rounds} kills",
            *(f"{name} {value}" for name, value in count.items() if value),
            sep="; ",
        )
        failed += sum(value for name, value in count.items() if name.split(": ")[1].isupper())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
