"""Trainings as callbacks would have journaled them: generated from a seed, small, with all kinds of events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from uuid import NAMESPACE_URL, uuid5

import journal
from journal.writing.writer import Writer

SCORE = "metrics/mAP50-95(B)"
"""The metric that checkpoints are compared by."""


@dataclass(frozen=True)
class Session:
    """One session of one run, and the random generator of its content.

    Attributes:
        names_itself: Whether its registration names the session, as that of the callbacks does.
    """

    opened: journal.Journal
    writer: Writer
    run_id: str
    number: int
    random: Random
    chunk_ids: Iterator[int]
    names_itself: bool = False

    def event(self, kind: str, payload: dict[str, object], key: str = "") -> None:
        """Write an event."""
        self.writer.append(self.run_id, self.number, kind, payload, key)

    def started(self, epochs: int) -> None:
        """Announce the session."""
        args = {"model": "yolo11n.pt", "epochs": str(epochs), "data": self.run_id}
        session = {"uploaderSession": self._lineage()} if self.names_itself else {}
        data = {"trainArgs": args, "epochs": epochs, "environment": {"uploaderRun": self.run_id, **session}}
        self.event("training_started", data)

    def _lineage(self) -> dict[str, object]:
        with self.opened.begin(read_only=True) as connection:
            query = f"SELECT uuid, generation, parent FROM sessions WHERE id = {self.number}"
            return connection.exec_driver_sql(query).one()._asdict()

    def epoch(self, number: int) -> None:
        """Train one epoch: some console text, the metrics, sometimes a checkpoint."""
        for _ in range(self.random.randrange(3)):
            self.console(f"epoch {number}: {self.random.random()}\n")
        self.metrics(number, {"train/loss": _loss(number), "val/loss": None, "lr": self.random.random()})
        if self.random.random() < 0.4:
            self.save(self.random.choice(("last", "best")), number)

    def metrics(self, number: int, losses: dict[str, float | None]) -> None:
        """Record metrics; the final evaluation has no validation losses, and the last epoch's training losses."""
        metrics = {**losses, SCORE: self.random.random()}
        self.event("epoch_end", {"epoch": number, "metrics": metrics, "fitness": self.random.random()}, str(number))

    def console(self, content: str) -> None:
        """Print; chunk ids grow over the sessions of a run, as with the callbacks."""
        chunk = next(self.chunk_ids)
        self.event("console_output", {"chunkId": chunk, "content": content, "lineCount": 1, "progress": {}}, str(chunk))

    def save(self, role: str, epoch: int) -> None:
        """Save a checkpoint."""
        source = self.opened.path.parent / f"{role}.pt"
        source.write_bytes(self.random.randbytes(self.random.choice((100, 5_000, 150_000, 600_000))))
        snapshot = self.opened.blobs.snapshot(source, wait=lambda _: None)  # this file is never rewritten
        facts = {"epoch": epoch, "filename": source.name, "publish": True, "isBest": role == "best"}
        self.writer.add_checkpoint(self.run_id, self.number, snapshot, role, facts)

    def end(self, epochs: int) -> None:
        """Complete the training, or let it fail."""
        failed = self.random.random() < 0.2
        if not failed:
            self.metrics(epochs, {"train/loss": _loss(epochs - 1)})
        self.save("final", epochs - 1)
        if failed:
            self.event("training_failed", {"error": "out of memory", "code": "oom"})
        else:
            results = {"metrics": {SCORE: self.random.random()}, "bestEpoch": 1, "bestFitness": self.random.random()}
            plots = [{"type": "pr_curve", "y": [self.random.random(), None]}, {"type": "confusion_matrix"}]
            self.event("training_complete", {"results": results, "classNames": ["box", "ball"], "plots": plots})


def _loss(epoch: int) -> float:
    return 1 / (epoch + 1)


def record(folder: Path, random: Random, project: str, *, names_sessions: bool = False) -> None:
    """Create a journal with one run or two; some are resumed once, with epochs that are trained again."""
    with journal.open(folder, durability="process") as opened, closing(opened.writer()) as writer:
        for number in range(random.choice((1, 1, 2))):
            run_id = str(uuid5(NAMESPACE_URL, f"{project}/{number}"))
            _train(opened, writer, random, project, run_id, names_sessions=names_sessions)


def _train(
    opened: journal.Journal, writer: Writer, random: Random, project: str, run_id: str, *, names_sessions: bool
) -> None:
    save_dir = str(opened.path.parent / run_id)
    epochs, first, chunk_ids = random.randint(1, 6), 0, count(1)
    for part in range(random.choice((1, 1, 2))):
        writer.start_run(project=project, name="train", save_dir=save_dir, run_id=run_id)
        session = Session(opened, writer, run_id, writer.start_session(run_id), random, chunk_ids, names_sessions)
        session.started(epochs)
        for number in range(first, epochs):
            session.epoch(number)
        first = epochs // 2
        writer.end_session(session.number, f"part {part}")
    session.end(epochs)
