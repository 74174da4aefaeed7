"""What others are told of a drain at work: beside the lock in a journal's folder, or in a row of a shared journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from journal import DISTRIBUTION
from journal.errors import JournalUnavailable
from journal.outbox.outbox import Outbox
from journal.reading.drain_at_work import DrainAtWork, DrainProgress


class Presence(Protocol):
    """What tells others of a drain. The drain's main thread owns it."""

    def tell(self) -> None:
        """Tell that it is at work."""

    def untell(self) -> None:
        """Tell nothing any more, while it looks a last time whether anything is left."""

    def tell_warnings(self, warnings: tuple[str, ...]) -> None:
        """Tell what is in the way: in words, without secrets."""

    def tell_progress(self, progress: DrainProgress) -> None:
        """Tell how far it is."""

    def renew(self) -> None:
        """Tell again that it is at work, where silence would mean that it is not."""

    def note_stop(self) -> None:
        """Have it told at its end that a person, or the system, wanted that."""


class SharedPresence:
    """A drain's row in a shared journal. Others work beside it, so nobody waits for what it tells."""

    def __init__(self, outbox: Outbox, id_: str, told: DrainAtWork) -> None:
        """Tell of a drain for the first time.

        Args:
            outbox: The drain's.
            id_: Its uuid.
            told: What is told of it.
        """
        self._outbox = outbox
        self._told = told
        self._id = id_
        self._version = _version()
        with suppress(JournalUnavailable):  # then with the leases
            self.renew()

    def tell(self) -> None:
        """Do nothing: a training on another machine leaves nothing to one drain alone."""

    def untell(self) -> None:
        """Do nothing, likewise."""

    def tell_warnings(self, warnings: tuple[str, ...]) -> None:
        """Tell what is in the way; it changes rarely."""
        if warnings != self._told.warnings:
            self._told = replace(self._told, warnings=warnings)
            self.renew()

    def tell_progress(self, progress: DrainProgress) -> None:
        """Tell how far it is, with the next `renew`."""
        self._told = replace(self._told, progress=progress)

    def renew(self) -> None:
        """Write the row."""
        told, now = self._told, self._outbox.now()
        as_json = json.dumps(asdict(told))
        self._outbox.drains.beat(self._id, host=told.host, pid=told.pid, version=self._version, told=as_json, now=now)

    def note_stop(self) -> None:
        """Do nothing: its row goes with its end."""

    def release(self) -> None:
        """Remove the row; one that cannot be removed grows old."""
        with suppress(JournalUnavailable):
            self._outbox.drains.end(self._id)


@contextmanager
def present(outbox: Outbox, id_: str, *, is_background: bool, log: Path | None) -> Iterator[SharedPresence]:
    """Tell of a drain in a shared journal for as long as the block lasts.

    Args:
        outbox: The drain's.
        id_: Its uuid.
        is_background: Whether a training started it.
        log: The file that it prints to, if it has one.
    """
    told = SharedPresence(outbox, id_, DrainAtWork(is_background=is_background, log=None if log is None else str(log)))
    try:
        yield told
    finally:
        told.release()


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # it runs from a folder
        return ""
