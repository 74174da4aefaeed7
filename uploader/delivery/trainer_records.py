"""Takes in, before a drain plans anything, the epochs that trainers have recorded and the journal lacks."""

from __future__ import annotations

import logging

from journal import Journal
from journal.quantities import epochs_in_words
from journal.sessions.over import OverRun
from uploader.run_folder.results_file import record_of

_LOG = logging.getLogger(__name__)


class TrainerRecords:
    """The records of the runs of one journal that are over; each is read once, and once more after another session."""

    def __init__(self, journal: Journal) -> None:
        """Read nothing yet."""
        self._journal = journal
        self._read: set[OverRun] = set()

    def take_in(self) -> None:
        """Take in what the journal lacks of runs that nobody trains, before any platform hears of their end.

        Raises:
            JournalError: The journal cannot be used.
        """
        for run in self._journal.runs_over():
            if run not in self._read:
                self._take_in(run)

    def _take_in(self, run: OverRun) -> None:
        record = record_of(run)
        if record.epochs:  # else its disk may only be missing now
            taken = self._journal.salvage_epochs(run, record)
            self._read.add(run)
            if taken:
                what, source = epochs_in_words(taken), record.epochs[0].source
                _LOG.warning("The journal lacked %s of %s (%s): taken in from %s.", what, run.name, run.id, source)
