"""Trainings in a real journal, as callbacks would have recorded them, and drains of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.journals import Engine, change, opened_in, writer_of
from support.settings import settings

import journal
from journal.checkpoints.blobs import file_stamp
from journal.records import Run
from journal.writing.writer import Writer
from uploader.delivery.drain import Drain
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.summary import Summary
from uploader.settings import Settings

KEY = "ul_drain_key"


@dataclass(frozen=True)
class Training:
    """One session of one run."""

    journal: journal.Journal
    writer: Writer
    run: Run
    session_id: int

    def event(self, kind: str, payload: dict[str, Any] | None = None, key: str = "") -> int:
        return self.writer.append(self.run.id, self.session_id, kind, payload or {}, key)

    def started(self, **data: Any) -> None:
        self.event("training_started", {"environment": {"uploaderRun": self.run.id}, **data}, "1")

    def epoch(self, number: int) -> None:
        self.event("epoch_end", {"epoch": number, "metrics": {"loss": 1 / (number + 1)}}, str(number))

    def console(self, number: int, content: str = "") -> None:
        line = content or f"line {number}"
        self.event("console_output", {"chunkId": number, "content": line, "lineCount": 1, "progress": {}}, str(number))

    def checkpoint(self, content: bytes, role: str = "final", **facts: Any) -> str:
        """Write and snapshot a file; return its sha256."""
        file = self.journal.path.parent / f"{role}.pt"
        file.write_bytes(content)
        snapshot = self.journal.blobs.snapshot(file, file_stamp(file), wait=lambda _: None)
        payload = {"epoch": 0, "filename": file.name, "publish": True, "isBest": True, **facts}
        self.writer.add_checkpoint(self.run.id, self.session_id, snapshot, role, payload)
        return snapshot.sha256

    def complete(self) -> None:
        self.event("training_complete", {"results": {"bestEpoch": 0}, "classNames": ["box"], "plots": []})

    def end(self, outcome: str = "finished") -> None:
        self.writer.end_session(self.session_id, outcome)


@dataclass(frozen=True)
class Recordings:
    """A journal to record into, and to drain."""

    journal: journal.Journal
    writer: Writer

    def begin(self, name: str = "train", project: str | None = "demo", run_id: str | None = None) -> Training:
        """Start a session of a new run, or of the one with this id."""
        save_dir = str(self.journal.path.parent / name)
        run = self.writer.start_run(project=project, name=name, save_dir=save_dir, run_id=run_id)
        return Training(self.journal, self.writer, run, self.writer.start_session(run.id))

    def whole(self, name: str = "train", *, epochs: int = 3, content: bytes = b"weights", **options: Any) -> Training:
        """Record a training from start to end."""
        training = self.begin(name, **options)
        training.started(epochs=epochs)
        for number in range(epochs):
            training.console(number)
            training.epoch(number)
        training.checkpoint(content)
        training.complete()
        training.end()
        return training

    def drain(
        self,
        url: str,
        *,
        api_key: str | None = KEY,
        hub: str | None = None,
        project: str = "offline-runs",
        **options: Any,
    ) -> Summary:
        """Run a drain to its end where a platform, and maybe a HUB, are configured."""
        chosen = settings(api_key, url, hub_key=api_key, hub=hub, default_project=project)
        with closing(self.journal.outbox()) as outbox:
            return Drain(self.journal, outbox, chosen, DrainOptions(**options)).run()

    def end_pauses(self) -> None:
        """Have the next drain ask at once: those of a shared journal keep to the pauses of others, also ended ones."""
        if self.journal.is_shared:
            change(self.journal.path, "DELETE FROM pauses")

    @contextmanager
    def draining(
        self,
        url: str,
        *,
        hub: str | None = None,
        key: str | None = KEY,
        project: str = "offline-runs",
        reread: Callable[[], Settings] | None = None,
        **options: Any,
    ) -> Iterator[Running]:
        """Run a drain in a thread of its own; the block may stop it, and it is stopped at the block's end."""
        chosen = settings(key, url, hub_key=key, hub=hub, default_project=project)
        with closing(self.journal.outbox()) as outbox:
            running = Running(Drain(self.journal, outbox, chosen, DrainOptions(**options), reread=reread))
            try:
                yield running
            finally:
                running.stop()


class Running:
    """A drain in a thread."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._summary: list[Summary] = []
        self._thread = threading.Thread(target=lambda: self._summary.append(drain.run()))
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        self._drain.stop()
        self._thread.join()

    def summary(self) -> Summary:
        """Wait for the drain to end by itself and return what it came to."""
        self._thread.join()
        [summary] = self._summary
        return summary


@contextmanager
def recordings(folder: Path, engine: Engine = "sqlite", **options: Any) -> Iterator[Recordings]:
    """Open a journal in a new folder, or a new shared one, which has this folder here."""
    opening = journal.open(folder, **options) if options else opened_in(folder, engine)
    with opening as opened, closing(writer_of(opened)) as writer:
        yield Recordings(opened, writer)
