"""Which models runs have become elsewhere: learnt before they are registered, so that no second model is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from journal.outbox import results_intake
from journal.outbox.outbox import Outbox
from journal.outbox.run_results import Results
from journal.records import Target
from uploader.delivery.run_mirrors import RunMirrors

_LOG = logging.getLogger("uploader")


class KnownModels:
    """What other machines and journals know of a journal's runs. The drain's main thread owns it.

    Attributes:
        conflicts: In words, the runs that are another model there than here.
    """

    def __init__(self, outbox: Outbox, mirrors: RunMirrors) -> None:
        """Know nothing yet.

        Args:
            outbox: The journal's.
            mirrors: Those of its runs.
        """
        self.conflicts: list[str] = []
        self._outbox = outbox
        self._mirrors = mirrors
        self._unlearnt: list[Results] = []

    def add(self, found: Iterable[Results]) -> None:
        """Add what is known elsewhere; it is taken in with the next `look`, once the runs have destinations."""
        self._unlearnt += found

    def look(self, targets: Sequence[Target]) -> None:
        """Ask the mirrors about runs that are not registered, and take in what is known elsewhere.

        Args:
            targets: Where the chosen runs go.
        """
        self.add(self._mirrors.ask({one.run.id for one in targets if one.state == "new"}))
        while self._unlearnt:
            with self._outbox.begin() as connection:
                conflicts = results_intake.learn(connection, self._unlearnt[0])
            del self._unlearnt[0]
            for why in (each for each in conflicts if each not in self.conflicts):
                self.conflicts.append(why)
                _LOG.warning("Not taken in: %s", why)
