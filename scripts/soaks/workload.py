"""The work of processes that are killed: a training's writes, as fast as possible, each reported."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal

import journal
from journal.storage import log_room
from journal.writing.writer import Writer
from soaks.ledger import Acknowledged, event_acknowledged, seal

RUN_ID = "5f0c5a1e-0000-4000-8000-000000000001"
KINDS = ("console_output", "epoch_end", "model_saved", "training_started")
ROLES = ("last", "last", "best", "final")
Durability = Literal["full", "process"]
Report = Callable[[Acknowledged], None]


@dataclass(frozen=True)
class Training:
    """One session that writes random events and checkpoints, and reports each write that returned.

    Attributes:
        opened: The journal.
        writer: Its writer.
        session: The session's id.
        random: Decides what is written.
        report: Called after each write.
    """

    opened: journal.Journal
    writer: Writer
    session: int
    random: Random
    report: Report

    @classmethod
    def begin(cls, opened: journal.Journal, seed: str, report: Report) -> Training:
        """Write the run and a session."""
        writer = opened.writer()
        run = writer.start_run(project="soak", name="soak", save_dir=str(opened.path), run_id=RUN_ID)
        return cls(opened, writer, writer.start_session(run.id), Random(seed), report)

    def append(self) -> None:
        """Append an event, mostly a small one."""
        size = self.random.choice((10, 300, 300, 2_000, 2_000, 60_000))
        payload = seal({"n": self.random.random(), "text": self.random.randbytes(size // 2).hex(), "none": None})
        kind, key = self.random.choice(KINDS), str(self.random.randrange(100))
        event_id = self.writer.append(RUN_ID, self.session, kind, payload, key)
        self.report(event_acknowledged(event_id, payload, kind))

    def save(self, role: str) -> None:
        """Save a checkpoint as a trainer does, and snapshot it."""
        source = self.opened.path.parent / f"trained-{os.getpid()}.pt"
        source.write_bytes(self.random.randbytes(self.random.choice((1, 5_000, 200_000))))
        snapshot = self.opened.blobs.snapshot(source, wait=lambda _: None)  # this file is never rewritten
        event_id = self.writer.add_checkpoint(RUN_ID, self.session, snapshot, role, {"publish": True})
        self.report(Acknowledged(event_id, snapshot.sha256, is_blob=True))

    def shrink(self, by: int) -> None:
        """Evict `by` bytes from the journal, as the recorder's thread does at the limit."""
        with closing(self.opened.writer()) as beside:
            beside.space(max(1, beside.size().total - by)).for_events()


def write_until_killed(folder: Path, seed: str, report: Report, durability: Durability = "full") -> None:
    """Open the journal and write events from one thread and checkpoints from another, until killed.

    Args:
        folder: The journal; created if it does not exist.
        seed: Decides kinds, sizes and roles.
        report: Called after each write that returned.
        durability: See `journal.open`.
    """
    # With and without preallocation of the log, and less of it than usual, to save time.
    log_room.ROOM_BYTES = Random(seed).choice((0, 0, 4 << 20))
    events = Training.begin(journal.open(folder, durability=durability), f"{seed}-events", report)
    checkpoints = replace(events, random=Random(f"{seed}-checkpoints"))
    # A daemon thread, so that the process can end when events fail because the disk is gone.
    threading.Thread(target=_save_and_fold, args=(checkpoints,), daemon=True).start()
    while True:
        events.append()


def tour(folder: Path, report: Report) -> None:
    """Run everything that writes once, from opening to closing, always in the same order."""
    log_room.ROOM_BYTES = 0  # preallocation would be thousands of equal writes
    with journal.open(folder) as opened:
        training = Training.begin(opened, "tour", report)
        training.writer.route(RUN_ID, "ultralytics", "https://platform.invalid")
        for role in ("last", "last", "final"):  # the second one supersedes the first
            training.append()
            training.save(role)
        training.shrink(by=300_000)
        opened.fold_wal()
        training.append()
        training.writer.heartbeat(training.session)
        training.writer.end_session(training.session, "complete")
        training.writer.close()


def _save_and_fold(training: Training) -> None:
    while True:
        try:
            training.save(training.random.choice(ROLES))
            if training.random.random() < 0.3:
                training.opened.fold_wal()
            if training.random.random() < 0.2:
                training.shrink(by=training.random.choice((1, 100_000, 1_000_000)))
        except (journal.JournalError, OSError):
            return  # the disk is gone; the other thread ends the process
