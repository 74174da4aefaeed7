"""What reads the folders of one trainer or tracker, and the list of all that do."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from uploader.errors import UploaderError
from uploader.importing.imported_run import FoundRun, ImportedRun

READERS = (
    "uploader.importing.readers.ultralytics_folder",
    "uploader.importing.readers.wandb_folder",
    "uploader.importing.readers.mlflow_folder",
    "uploader.importing.readers.trackio_folder",
    "uploader.importing.readers.neptune_folder",
    "uploader.importing.readers.tensorboard_folder",
)
"""Modules that each have a `READER`, in the order in which a folder is shown to them."""


class UnreadableRun(UploaderError):
    """Nothing at all can be had of a run; the message says why, and what would help."""


class DeletedRun(UnreadableRun):
    """Its tracker keeps it, but a person deleted it there."""


class ReaderMissing(UnreadableRun):
    """The library that reads such files is not installed."""


class Reader(Protocol):
    """Reads the runs of one kind.

    Attributes:
        name: The source of its runs; a part of their identity, so it never changes.
    """

    name: str

    def detect(self, folder: Path) -> Sequence[FoundRun]:
        """Return the runs that lie in this very folder, without reading more than a few bytes; none on any error."""
        ...

    def read(self, found: FoundRun) -> ImportedRun:
        """Return a run with all that can be read of it, and what cannot as its `problems`. Writes nothing there.

        Raises:
            UnreadableRun: Nothing can be had of it.
        """
        ...


def read_run(found: FoundRun) -> ImportedRun:
    """Return a run by its reader; files that are nothing that a reader expects stop no other run.

    Raises:
        UnreadableRun: Nothing can be had of it.
    """
    try:
        return reader_of(found).read(found)
    except UploaderError:
        raise
    except Exception as error:
        raise UnreadableRun(f"its files are not what they should be: {type(error).__name__}: {error}") from error


def all_readers() -> list[Reader]:
    """Return every reader; their libraries are imported when something is read."""
    readers: list[Reader] = [import_module(module).READER for module in READERS]
    return readers


def reader_of(found: FoundRun) -> Reader:
    """Return the reader that found a run."""
    return next(reader for reader in all_readers() if reader.name == found.source)
