"""What a collector tells trainings on the same machine: that it is at work on their journal, and what is in its way."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from journal.checkpoints.blobs import delete
from journal.reading.drain_at_work import COLLECTOR, DrainAtWork


class CollectorNote:
    """The file beside a journal that tells of the collector."""

    def __init__(self, folder: Path, log: Path | None) -> None:
        """Tell that one is at work.

        Args:
            folder: The journal.
            log: The file that the collector prints to; None for the streams that it was started with.
        """
        self._folder = folder
        self._told = DrainAtWork(is_background=True, log=None if log is None else str(log))
        self._write()

    def tell(self, errors: Collection[str]) -> None:
        """Tell what is in the way now; nothing if that is over."""
        self._told = replace(self._told, warnings=tuple(sorted(errors)))
        self._write()

    def end(self, *, was_stopped: bool) -> None:
        """Tell nothing any more, or that it has ended because it was told to."""
        delete(self._folder / COLLECTOR)
        if was_stopped:
            self._told = replace(self._told, was_stopped=True)
            self._write()

    def _write(self) -> None:
        with suppress(OSError):
            self._told.write(self._folder, COLLECTOR)
