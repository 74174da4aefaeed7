"""Reads offline runs of Weights & Biases: `wandb/offline-run-*/run-*.wandb`, also those that were killed or resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uploader.importing.imported_run import FoundRun, ImportedRun, Problem
from uploader.importing.reader import UnreadableRun
from uploader.importing.readers.libraries import library_module
from uploader.importing.readers.wandb_records import wandb_records
from uploader.importing.readers.wandb_run import WandbRun


class WandbFolder:
    """Reads the run of a `run-ID.wandb`, together with those of the same name beside its folder: it was resumed."""

    name = "wandb"

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the runs whose files lie in a folder; one that was resumed lies where it began."""
        try:
            return [FoundRun(self.name, _starts(file)[0]) for file in sorted(folder.glob("run-*.wandb"))]
        except OSError:
            return []

    def read(self, found: FoundRun) -> ImportedRun:
        """Return a run with all its starts.

        Raises:
            UnreadableRun: wandb is not installed, or no file says which run it is.
        """
        messages = library_module("wandb.proto.wandb_internal_pb2", package="wandb", files="wandb's runs")
        run = WandbRun()
        for file in _starts(found.place):
            _read_file(file, run, messages)
        if run.identity is None and run.has_steps:
            run.identity = ("", "", found.place.stem.removeprefix("run-"))
        if run.identity is None:
            reasons = "; ".join(f"{problem.what} {problem.why}" for problem in run.problems)
            raise UnreadableRun(f"its file does not say which run it is: {reasons or 'it ends before'}")
        return run.imported(found.place.parent)


READER = WandbFolder()


def _starts(file: Path) -> list[Path]:
    """Return the files of a run in the order of its starts: their folders' names tell when."""
    folder = file.parent.resolve()
    beside = [each for each in folder.parent.glob(f"*/{file.name}") if not each.parent.is_symlink()]
    return sorted(beside or [folder / file.name], key=lambda each: each.parent.name.removeprefix("offline-"))


def _read_file(file: Path, run: WandbRun, messages: Any) -> None:
    what = f"{file.parent.name}/{file.name}"
    read = [0]

    def damaged(at: int, why: str) -> None:
        run.problems.append(Problem(what, f"the record at byte {at} cannot be read ({why}); {read[0]} before it were"))

    run.begin(file.parent)
    try:
        with file.open("rb") as stream:
            for at, body in wandb_records(stream, damaged):
                record = _record(body, messages)
                if record is None:
                    damaged(at, "it is no record of wandb's")
                else:
                    run.add(record)
                    read[0] += 1
    except (OSError, UnreadableRun) as error:
        run.problems.append(Problem(what, f"cannot be read: {error}"))


def _record(body: bytes, messages: Any) -> Any:
    """Return a record, None if the bytes are none."""
    record = messages.Record()
    try:
        record.ParseFromString(body)
    except Exception:  # noqa: BLE001 - protobuf's error is of the library that is not named here
        return None
    return record
