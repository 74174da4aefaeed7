"""Reading a journal's runs in code: `uploader.open(journal).run("latest").metrics()`.

Each call reads by itself, in short transactions. So a training and a drain may write meanwhile, nothing has to be
closed, and the next call tells what is new.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from journal import locations
from journal.errors import NoJournal
from journal.read_only import reading
from journal.reading.console_text import ConsoleChunk
from journal.reading.delivery_records import DeliveryRecord
from journal.reading.logged_media import LoggedMedium
from journal.reading.places import what_else, what_is
from journal.reading.recorded_epochs import columns, trained_epochs
from journal.reading.report import RunReport
from journal.reading.run_reader import RunContents, RunProgress, RunReader, recorded_runs
from journal.reading.run_times import RunTimes
from journal.reading.stored_checkpoints import StoredCheckpoint
from journal.records import Run
from uploader.console_chunks import folded
from uploader.run_selection import LATEST, choose_runs, full_name


def open(journal: str | os.PathLike[str] | None = None) -> RecordedJournal:  # as in `uploader.open`
    """Return a journal to be read; there is nothing to close.

    Args:
        journal: Its folder; by default `UPLOADER_JOURNAL`, else the one of this user's application data.

    Raises:
        NoJournal: There is none. It is not made.
    """
    folder = locations.default_journal() if journal is None else locations.expanded(journal)
    if what_is(folder) != "journal":
        raise NoJournal(f"there is no journal in {folder}; {what_else(folder)}")
    return RecordedJournal(folder)


class RecordedJournal:
    """A journal, to be read.

    Attributes:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        """Use `uploader.open` instead, which looks whether there is one."""
        self.path = path

    def runs(self) -> list[RecordedRun]:
        """Return its runs, oldest first.

        Raises:
            JournalError: It cannot be read.
        """
        with reading(self.path) as opened:
            return [RecordedRun(self.path, run) for run in recorded_runs(opened.begin)]

    def run(self, name: str = LATEST) -> RecordedRun:
        """Return one run.

        Args:
            name: Its id or the beginning of that, its name, `project/name`, its folder, or `latest`.

        Raises:
            UnknownRow: That fits no run, or several.
            JournalError: The journal cannot be read.
        """
        runs = self.runs()
        chosen = choose_runs([each.run for each in runs], [name], self.path)
        return next(each for each in runs if chosen and each.id == chosen[0])


class RecordedRun:
    """A run of a journal, to be read.

    Attributes:
        journal: The journal's folder.
        run: What does not change of it: id, project, name, folder, and when it was created.
    """

    def __init__(self, journal: Path, run: Run) -> None:
        """Use `RecordedJournal.run` instead."""
        self.journal = journal
        self.run = run

    def __repr__(self) -> str:
        """Return it for people."""
        return f"<run {full_name(self.run)} ({self.id})>"

    @property
    def id(self) -> str:
        """Its uuid."""
        return self.run.id

    @property
    def name(self) -> str:
        """Its name, with its project if it has one."""
        return full_name(self.run)

    def status(self) -> RunReport:
        """Return its state, and what has arrived of it, as `status --json` tells it."""
        with self._reader() as reader:
            return reader.report()

    def times(self) -> RunTimes:
        """Return when it was trained and for how long, and where its models are."""
        with self._reader() as reader:
            return reader.times()

    def metrics(self, *, evaluation: bool = False) -> dict[str, list[Any]]:
        """Return what its epochs measured, as columns of equal length, for `pandas.DataFrame` or `polars.DataFrame`.

        They are `epoch`, from 0; `recorded_at`; `fitness` if the trainer told one; and each metric by its name. None
        stands for what an epoch did not tell, or what was no finite number.

        Args:
            evaluation: Whether the last row is to be the final evaluation, where there is one. It trains nothing.
        """
        with self._reader() as reader:
            epochs = reader.epochs()
        return columns(epochs if evaluation else trained_epochs(epochs))

    def console(self, tail: int | None = None) -> str:
        """Return what it printed, one line after the other; of a progress bar what was left of it.

        Args:
            tail: Only so many of the last lines; None for all.
        """
        chunks = self.console_chunks() if tail is None else self.console_tail(tail)[0]
        lines = [line for chunk in chunks for line in folded(chunk.text)]
        return "\n".join(lines if tail is None else lines[max(0, len(lines) - tail) :])

    def console_chunks(self) -> Iterator[ConsoleChunk]:
        """Yield what it printed, chunk by chunk, however much that is."""
        with self._reader() as reader:
            yield from reader.console()

    def console_tail(self, lines: int) -> tuple[list[ConsoleChunk], int]:
        """Return the last chunks with so many lines, or a few more, and the id of the chunk that arrived last."""
        with self._reader() as reader:
            return reader.console_tail(lines)

    def console_after(self, chunk_id: int) -> tuple[list[ConsoleChunk], bool]:
        """Return what it printed after a chunk, and whether it goes on; see `journal.reading.run_reader`."""
        with self._reader() as reader:
            return reader.console_after(chunk_id)

    def checkpoints(self) -> list[StoredCheckpoint]:
        """Return its checkpoints, oldest first."""
        with self._reader() as reader:
            return reader.checkpoints()

    def media(self) -> list[LoggedMedium]:
        """Return the images and plots that a loop has logged, oldest first; of one name in one step the last one."""
        with self._reader() as reader:
            return reader.media()

    def summary(self) -> dict[str, Any]:
        """Return what a loop has said of the run as a whole, by name."""
        with self._reader() as reader:
            told = reader.continuation().summary
        return {**told.get("metrics", {}), **told.get("nonFinite", {}), **told.get("values", {})}

    def deliveries(self, most: int | None = None) -> list[DeliveryRecord]:
        """Return its deliveries: what was refused first, then what fails, what waits, and the newest others.

        Args:
            most: So many of them; None for all.
        """
        with self._reader() as reader:
            return reader.deliveries(most)

    def progress(self, newest_epoch: int = 0) -> RunProgress:
        """Return how far it is, for `wait`; see `journal.reading.run_reader`."""
        with reading(self.journal) as opened:
            beside = sum(run_id == self.id for run_id, _ in opened.left_beside())
            return replace(RunReader(opened.begin, self.id).progress(newest_epoch), left_beside=beside)

    def contents(self, *, epochs: int | None, lines: int, deliveries: int | None) -> RunContents:
        """Return what `show` shows, as it was at one moment; see `journal.reading.run_reader`."""
        with self._reader() as reader:
            return reader.contents(epochs=epochs, lines=lines, deliveries=deliveries)

    @contextmanager
    def _reader(self) -> Iterator[RunReader]:
        with reading(self.journal) as opened:
            yield RunReader(opened.begin, self.id)
