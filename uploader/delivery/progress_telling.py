"""Telling how far a drain is: to whoever watches it, and through the journal's folder to `status` in any shell."""

from __future__ import annotations

import time
from collections.abc import Collection

from journal import Journal
from journal.reading.drain_at_work import DrainProgress
from uploader.delivery.outcomes import Outcomes
from uploader.delivery.presence import Presence
from uploader.delivery.progress import Progress
from uploader.delivery.time_left import Mark, TimeLeft

EVERY_SECONDS = 1.0
EVERY_SECONDS_SHARED = 20.0
"""Counting what is left is work for the server, and each of many drains does it."""
SHARE = 20
"""Counting takes one part in so many of the time at most, however much is left."""


class ProgressTelling:
    """Tells now and then how far a drain is.

    Attributes:
        due: When to tell it next, in seconds of the monotonic clock.
    """

    def __init__(
        self, journal: Journal, outcomes: Outcomes, progress: Progress, run_ids: Collection[str] | None
    ) -> None:
        """Begin.

        Args:
            journal: The drain's, on the connection of its outbox.
            outcomes: What the drain has delivered.
            progress: Whoever watches it.
            run_ids: The runs that are drained; None for all.
        """
        self._journal = journal
        self._outcomes = outcomes
        self._progress = progress
        self._run_ids = run_ids
        self._time_left = TimeLeft(time.monotonic())
        self._every = EVERY_SECONDS_SHARED if journal.is_shared else EVERY_SECONDS
        self.due = time.monotonic() + EVERY_SECONDS

    def tell(self, held: Presence) -> None:
        """Count what is left, and tell it."""
        began = time.monotonic()
        left = self._journal.left(self._run_ids)
        delivered, size = sum(self._outcomes.delivered.values()), sum(self._outcomes.bytes.values())
        seconds = self._time_left.seconds_for(Mark(began, delivered, size), left.deliveries, left.bytes)
        held.tell_progress(DrainProgress(delivered, size, left.deliveries, left.bytes, seconds))
        self._progress.expect(left.deliveries)
        self.due = began + max(self._every, SHARE * (time.monotonic() - began))
