"""What a drain does for its journal besides delivering: takes in what trainings left, and looks after the file."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from journal import Journal
from journal.errors import JournalError, JournalUnavailable
from journal.outbox.outbox import Outbox
from journal.reading.drains_at_work import drains_at_work
from journal.storage.folding import FOLDED_AT_BYTES
from uploader.delivery.trainer_records import TrainerRecords

_LOG = logging.getLogger(__name__)


class JournalMaintenance:
    """The maintenance of one journal. The drain's main thread owns it."""

    def __init__(self, journal: Journal, outbox: Outbox, intake_seconds: float) -> None:
        """Prepare.

        Args:
            journal: The drain's, on the connection of its outbox.
            outbox: The drain's.
            intake_seconds: How often to take in what trainings left.
        """
        self._journal = journal
        self._outbox = outbox
        self._records = TrainerRecords(journal)
        self._intake_seconds = intake_seconds
        self._next_intake = 0.0
        self._marked = 0  # deliveries

    def begin(self) -> None:
        """Take in what trainings left beside the journal, and note those that died.

        Raises:
            JournalError: The journal cannot be written.
        """
        self._journal.fallbacks.ingest()
        self._journal.salvage()
        self._note_interrupted()
        self._next_intake = time.monotonic() + self._intake_seconds

    def left_beside(self, runs: Sequence[str] | None) -> tuple[str, ...]:
        """Return what these runs, or all, left beside the journal and it could not take in, or whose nobody knows."""
        chosen = None if runs is None else {*runs, ""}
        return tuple(str(path) for run_id, path in self._journal.left_beside() if chosen is None or run_id in chosen)

    def take_in(self) -> None:
        """Do that again when it is due."""
        if time.monotonic() >= self._next_intake:
            self.take_in_now()

    def take_in_now(self) -> None:
        """Do that again; what cannot be had now may be the next time."""
        self._next_intake = time.monotonic() + self._intake_seconds
        for take_in in (self._journal.fallbacks.ingest, self._journal.salvage, self._note_interrupted):
            try:
                take_in()
            except (JournalError, OSError) as error:
                _LOG.warning("What a training left beside the journal was not taken in: %s", error)

    def _note_interrupted(self) -> None:
        """Note which trainings were interrupted, which ends their runs; first take in the epochs that they left."""
        self._records.take_in()
        self._journal.note_interrupted()

    def fold(self) -> bool:
        """Fold the write-ahead log back when it is large; return False when another process was in the way."""
        return self._journal.wal_bytes() <= FOLDED_AT_BYTES or self._outbox.fold_wal()

    def mark_newest(self, delivered: int) -> None:
        """Mark the journal as newer than its copies, once the platform has something that they may not have.

        Args:
            delivered: How many deliveries this drain has made.
        """
        if delivered != self._marked:
            with suppress(JournalUnavailable):  # then the next time
                self._outbox.copies.mark_newest()
                self._marked = delivered

    def end(self, delivered: int = 0) -> None:
        """Mark it as `mark_newest` does, and leave a small log behind, if that can be."""
        self.mark_newest(delivered)
        with suppress(JournalUnavailable):
            self._outbox.fold_wal()


class LockedMaintenance(JournalMaintenance):
    """What a drain does for a journal whose lock it holds."""

    def begin(self) -> None:
        """Do what is done for any, and let all be tried at once that is claimed, or waits.

        With the lock, what a killed drain had claimed is free. And a person who starts one wants no old backoff.
        """
        super().begin()
        self._outbox.claims.take_over(self._outbox.now())


class SharedMaintenance(JournalMaintenance):
    """What a drain does for a shared journal: nothing is left beside it, and the server looks after the rest."""

    def begin(self) -> None:
        """Note which trainings were interrupted, and let all be tried at once that waits, if no other drain is at work.

        As with a journal in a folder, a person who starts a drain wants no old backoff. Among others it is theirs as
        well, and what is claimed stays its drain's to the end of the lease.
        """
        self.take_in_now()
        if self._is_alone():
            self._outbox.claims.end_waits(self._outbox.now())

    def left_beside(self, runs: Sequence[str] | None) -> tuple[str, ...]:
        """Return nothing."""
        del runs
        return ()

    def take_in_now(self) -> None:
        """Note which trainings were interrupted; of many drains one does each."""
        self._next_intake = time.monotonic() + self._intake_seconds
        self._journal.note_interrupted()

    def _is_alone(self) -> bool:
        """Return whether this drain, which has told of itself by now, is the only one."""
        with self._outbox.begin(read_only=True) as connection:
            return len(drains_at_work(connection, self._outbox.now())) <= 1

    def fold(self) -> bool:
        """Do nothing."""
        return True

    def mark_newest(self, delivered: int) -> None:
        """Do nothing: an older copy of a server's database is no journal that somebody drains beside this one."""

    def end(self, delivered: int = 0) -> None:
        """Do nothing."""
