"""How long recording a checkpoint of 100 MB blocks the training thread, in addition to writing the file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benches.append import EVENT, raw
from benches.measure import Result, Setting, Table, Target, in_turn, seconds, table
from journal.encoding import encode
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

SIZE = 100_000_000
PERIOD = 2.0
ROUNDS = 20
BURST = 12
PROBE_EVERY = 0.1

COPY, OURS = "copy and fsync both files", "record save and snapshots, then an epoch"
COMPUTE = "only a computation that takes 0.3 ms on an idle machine"
SAVE = "record save and snapshots: the callback alone"
RAW, EVENT_ONLY, EVENT_FIRST = "sqlite3: INSERT, COMMIT", "epoch_end, no snapshot", "epoch_end, snapshots requested"
QUIET, BUSY = "no snapshot in progress", "while snapshots are taken"


class Training:
    """A stand-in for the trainer: it rewrites last.pt and best.pt in place and tells the recorder, as callbacks do.

    Attributes:
        epoch: Counts the saves.
        save_waits: Times in the save's callback (seconds).
        probes: Times of single events (seconds) well after a save.
        durable_after: Times from each save to both snapshots being durable (seconds).
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.journal = folder / "journal"
        self.epoch = 0
        self.save_waits: list[float] = []
        self.probes: dict[str, list[float]] = {QUIET: [], BUSY: []}
        self.durable_after: list[float] = []
        self._last, self._best = folder / "last.pt", folder / "best.pt"
        self._bytes = bytearray(os.urandom(size))
        options = JournalOptions(journal=str(self.journal))
        self.recorder = Recorder.start(options, project="bench", name="t", save_dir=folder, resume=False)

    def save(self) -> None:
        """Write the next checkpoint; this is the trainer's own work."""
        self.epoch += 1
        self._bytes[:8] = self.epoch.to_bytes(8, "big")
        self._last.write_bytes(self._bytes)
        self._best.write_bytes(self._bytes)

    def sha256(self) -> str:
        """Return the hash of the newest save."""
        return hashlib.sha256(self._bytes).hexdigest()

    def model_saved(self) -> None:
        """Record the save and request both snapshots."""
        files = [{"role": "last", "path": str(self._last)}, {"role": "best", "path": str(self._best)}]
        self.recorder.event("model_saved", {"epoch": self.epoch, "files": files}, str(self.epoch), durability="process")
        self.recorder.checkpoint(self._last, role="last", epoch=self.epoch, publish=False, is_best=False)
        self.recorder.checkpoint(self._best, role="best", epoch=self.epoch, publish=True, is_best=True)

    def epoch_end(self) -> None:
        """Record the epoch's metrics."""
        self.recorder.event("epoch_end", EVENT, str(self.epoch))

    def end(self) -> None:
        """Strip the best checkpoint, as the trainer does at the end, and record it as the final one."""
        self.save()
        self.recorder.checkpoint(self._best, role="final", epoch=self.epoch, publish=True, is_best=True)
        self.recorder.finish("complete")

    # --- The contenders; each is called right after a save and returns the training thread's wait in seconds.

    def copies(self) -> float:
        """Copy both files in the simplest way, on the training thread."""
        return seconds(lambda: _copy_durably(self._last)) + seconds(lambda: _copy_durably(self._best))

    def recorded(self) -> float:
        """Record the save and, when the snapshots are being taken, the epoch."""
        started = time.monotonic()
        wait = seconds(self.model_saved)
        self.save_waits.append(wait)
        time.sleep(PROBE_EVERY)
        wait += seconds(self.epoch_end)
        while not self.recorder.wait_for_snapshots(timeout=PROBE_EVERY):
            self.probes[BUSY].append(seconds(self.epoch_end))
        self.durable_after.append(time.monotonic() - started)
        return wait

    def computed(self) -> float:
        """Compute for as long as the callbacks do: any extra time is caused by the machine, not by the journal."""
        return seconds(lambda: [encode(EVENT) for _ in range(30)])

    def event_only(self) -> float:
        """Record the epoch at once, without a snapshot; then a few more, undisturbed."""
        wait = seconds(self.epoch_end)
        for _ in range(5):
            time.sleep(PROBE_EVERY)
            self.probes[QUIET].append(seconds(self.epoch_end))
        return wait

    def event_first(self) -> float:
        """Record the epoch right after the save, in the order of Ultralytics' callbacks."""
        self.model_saved()
        return seconds(self.epoch_end)

    def every_period(self, work: Callable[[], float]) -> Callable[[], list[float]]:
        """Return a contender that saves, works, and waits for the rest of the period."""

        def once() -> list[float]:
            ends = time.monotonic() + PERIOD
            self.save()
            wait = work()
            self.recorder.wait_for_snapshots()
            time.sleep(max(0.0, ends - time.monotonic()))
            return [wait]

        return once


def run(setting: Setting) -> Result:
    """Measure saves two seconds apart, and then saves that are faster than snapshots."""
    size = SIZE // 100 if setting.quick else SIZE
    training = Training(setting.folder, size)
    waits = _waits(training, setting.rounds(ROUNDS), size)
    first = _first_events(training, setting)
    later = table(
        "One event 100 ms and more after a save", "ms", {k: v or [0.0] for k, v in training.probes.items()}, 1e3
    )
    kept, burst = _burst(training, BURST)
    row, save = waits.row(OURS), waits.row(SAVE)
    return Result(
        (waits, first, later),
        (
            Target("wait in the save's callback, p50 in ms", save.p50, 5.0),
            Target("wait in the save's callback, worst in ms", save.worst, 5.0),
            Target("the same with the epoch's durable event, p50 in ms", row.p50, 5.0),
            Target("the same with the epoch's durable event, worst in ms", row.worst, 5.0),
            Target("in a burst, newest and final save kept (of 2)", kept, 2, at_least=True),
        ),
        (
            f"Saves are {PERIOD:.0f} s apart and rewrite last.pt and best.pt in place; the trainer's own writing is "
            "not included. The wait is that of the save's callback (its event, two requests for snapshots) and "
            f"of an epoch's event {PROBE_EVERY * 1000:.0f} ms later, when the snapshots are being taken.",
            "The second row shows how much the machine itself delays whatever runs at that moment, without a journal.",
            "Ultralytics reports the epoch right after the save. That event is durable only once the disk has written "
            "the trainer's files, with or without snapshots; the second table shows how long this takes.",
            "The worst waits are single writes to the log that ext4 delays while it commits its own journal, which "
            "then waits for the trainer's files (seen with strace). They occur without snapshots, "
            "and with sqlite3, too.",
            f"Both snapshots were durable {statistics.median(training.durable_after):.2f} s after the save (median).",
            burst,
        ),
    )


def _waits(training: Training, rounds: int, size: int) -> Table:
    works = {COPY: training.copies, COMPUTE: training.computed, OURS: training.recorded}
    contenders = {name: training.every_period(work) for name, work in works.items()}
    title = f"The training thread's wait per save of two files of {size / 1e6:.0f} MB"
    readings = in_turn(contenders, rounds)
    return table(title, "ms", {**readings, SAVE: training.save_waits}, 1e3)


def _first_events(training: Training, setting: Setting) -> Table:
    with raw(setting.folder, "FULL") as commit:
        contenders = {
            RAW: training.every_period(lambda: seconds(commit)),
            EVENT_ONLY: training.every_period(training.event_only),
            EVENT_FIRST: training.every_period(training.event_first),
        }
        readings = in_turn(contenders, setting.rounds(ROUNDS))
    return table("One durable event right after a save", "ms", readings, 1e3)


def _burst(training: Training, saves: int) -> tuple[int, str]:
    """Save without a pause; return how many of the newest and the final checkpoint were kept, and a note."""
    first, started = training.epoch + 1, time.monotonic()
    for _ in range(saves):
        training.save()
        training.model_saved()
    took, newest = time.monotonic() - started, training.sha256()
    training.recorder.wait_for_snapshots()
    training.end()
    taken = _checkpoints(training.journal, first)
    kept = (newest in taken["last"]) + (training.sha256() in taken["final"])
    return kept, (
        f"Burst: of {saves} saves in {took:.1f} s, {len(taken['last'])} of last.pt and {len(taken['best'])} of best.pt "
        "were snapshotted before the next one overwrote them, and so was the final one."
    )


def _checkpoints(journal: Path, first_epoch: int) -> dict[str, list[str]]:
    """Return the hashes that the journal has for each role, from an epoch on."""
    found: dict[str, list[str]] = {"last": [], "best": [], "final": []}
    with closing(sqlite3.connect(journal / "journal.db")) as database:
        for (text,) in database.execute("SELECT payload FROM events WHERE kind = 'checkpoint'"):
            facts = json.loads(text)
            if facts["epoch"] >= first_epoch:
                found[facts["role"]].append(facts["sha256"])
    return found


def _copy_durably(path: Path) -> None:
    with Path(shutil.copy(path, path.with_suffix(".copy"))).open("rb") as file:
        os.fsync(file.fileno())
