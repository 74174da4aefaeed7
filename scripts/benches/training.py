"""What recording costs a whole training: its epochs with and without, and each callback beside upstream's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benches.measure import Result, Setting, Table, Target, in_turn, percentile, table
from benches.servers import KEY, local_platform
from journal.locations import DEFAULT_MAX_WAIT

PAIRS = 5
ALONE, OURS, UPSTREAMS = "without recording", "with recording", "upstream's callbacks, to the local platform"
FULL, NORMAL, MEMORY = "sqlite3: INSERT, COMMIT, FULL", "sqlite3: INSERT, COMMIT, NORMAL", "append to a list"
TRAININGS = (ALONE, OURS, UPSTREAMS)
WRITING = ("on_fit_epoch_end", "on_model_save")
"""The events at which something is written in each epoch."""

Trained = Mapping[str, list[float]]


def run(setting: Setting) -> Result:
    """Train in turn without recording, with it, and with upstream's callbacks, each time in a new process."""
    found: dict[str, list[Trained]] = defaultdict(list)
    with ExitStack() as stack:
        url = stack.enter_context(local_platform(setting.folder / "platform"))
        turns = {name: partial(_train, setting, found[name], name, url) for name in TRAININGS}
        epochs = in_turn(turns, setting.rounds(PAIRS))
    waits = {name: _joined(trained) for name, trained in found.items()}
    tables = _epochs(epochs), *(_waits(event, waits) for event in WRITING), _others(waits)
    return Result(tables, _targets(tables[0], waits), NOTES)


def _train(setting: Setting, found: list[Trained], name: str, url: str) -> list[float]:
    """Train once and return the seconds of its epochs but the first."""
    folder = Path(tempfile.mkdtemp(dir=setting.folder))
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(folder), "UPLOADER_JOURNAL": str(folder / "journal")}
    if name == UPSTREAMS:
        environment |= {"ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_API_KEY": KEY}
    how = {ALONE: "alone", OURS: "ours", UPSTREAMS: "upstream"}[name]
    command = [sys.executable, "-m", "benches.timed_training", how, str(folder), *(["--quick"] * setting.quick)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    trained: dict[str, Any] = json.loads((folder / "times.json").read_text("utf-8"))
    found.append(trained["waits"])
    epochs: list[float] = trained["epochs"][1:]
    return epochs


def _joined(trainings: list[Trained]) -> dict[str, list[float]]:
    joined: dict[str, list[float]] = defaultdict(list)
    for training in trainings:
        for event, readings in training.items():
            joined[event] += readings
    return joined


def _epochs(epochs: Mapping[str, list[float]]) -> Table:
    return table("An epoch, from its first batch to its last callback", "ms", epochs, 1e3)


def _waits(event: str, waits: Mapping[str, Trained]) -> Table:
    raw = {name: waits[ALONE][name] for name in (FULL, NORMAL, MEMORY)}
    trained = {name: waits[name][event] for name in TRAININGS}
    return table(f"All callbacks of {event}", "ms", {**raw, **trained}, 1e3)


def _others(waits: Mapping[str, Trained]) -> Table:
    """Return every other callback of a training in one row, the longest wait of each being what counts."""
    written = {FULL, NORMAL, MEMORY, *WRITING}
    others = {
        name: [reading for event in sorted(waits[name].keys() - written) for reading in waits[name][event]]
        for name in TRAININGS
    }
    return table("All callbacks of any other event between the first epoch and the last", "ms", others, 1e3)


def _targets(epochs: Table, waits: Mapping[str, Trained]) -> tuple[Target, ...]:
    ours, raw = sorted(waits[OURS][WRITING[0]]), waits[ALONE]
    bound = DEFAULT_MAX_WAIT * 1e3
    return (
        Target("an epoch with recording over one without, p50", epochs.ratio(OURS), 1.01),
        Target("the end of an epoch over a raw durable INSERT, p50", percentile(ours, 0.5) / _p50(raw[FULL]), 1.0),
        Target("the end of an epoch, p99 in ms", percentile(ours, 0.99) * 1e3, bound + 2),
        Target("the end of an epoch, worst in ms", ours[-1] * 1e3, bound + max(raw[NORMAL]) * 1e3),
    )


def _p50(readings: list[float]) -> float:
    return percentile(sorted(readings), 0.5)


NOTES = (
    "Real trainings of yolo11m on the CPU, whose last.pt and best.pt have about 100 MB while it trains, durability "
    "`full`; each a new process, and they alternate. Waits are those of all callbacks of an event, the trainer's own "
    "and other libraries' included, in every epoch, the first one too; the epochs' times leave it out.",
    "The three rows of sqlite3 and of a list are measured at the end of each epoch of the trainings without recording, "
    "just after the files were saved, with one row of twelve floats.",
)
