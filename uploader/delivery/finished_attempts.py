"""Awaiting attempts, and gathering those that are over, so that many are recorded in one transaction."""

from __future__ import annotations

import time
from queue import Empty

from journal.storage.backend import Changes
from uploader.delivery.feed import Feed
from uploader.delivery.journal_changes import NOTICE_SECONDS
from uploader.delivery.outcomes import Outcomes
from uploader.delivery.sender_manager import SenderManager

GATHER_SECONDS = 0.05
"""How long finished attempts are gathered before they are recorded together."""


class FinishedAttempts:
    """Takes what the senders have finished. The drain's main thread owns it; it writes nothing."""

    def __init__(
        self, senders: SenderManager, outcomes: Outcomes, feed: Feed, changes: Changes, *, watch: bool
    ) -> None:
        """Take nothing yet.

        Args:
            senders: The drain's.
            outcomes: Takes what attempts came to.
            feed: Knows which senders may be given more.
            changes: Notice that somebody has written to the journal.
            watch: Whether the drain watches, and so may have more to do then.
        """
        self._senders = senders
        self._outcomes = outcomes
        self._feed = feed
        self._changes = changes
        self._watch = watch

    def collect(self, seconds: float) -> None:
        """Await one for so long, and gather a few more."""
        self._await(seconds)
        gather_until = time.monotonic() + GATHER_SECONDS
        while (left := gather_until - time.monotonic()) > 0 and self._senders.are_busy:
            if any(self._feed.may_fill(sender) for sender in self._senders):
                break
            self._take(left)

    def take_until_idle(self, seconds: float) -> None:
        """Take all that are under way, as far as they finish within this time."""
        until = time.monotonic() + seconds
        while self._senders.are_busy and (left := until - time.monotonic()) > 0:
            self._take(left)

    def _await(self, seconds: float) -> None:
        """Wait for an attempt to finish; a drain that watches also for somebody to write to the journal."""
        if not self._watch:
            self._take(seconds)
            return
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._take(min(left, NOTICE_SECONDS)) or self._changes.are_any():
                return

    def _take(self, seconds: float) -> bool:
        """Take a finished attempt, or what else wakes the drain up; return False when there was none in this time."""
        try:
            finished = self._senders.results.get(timeout=seconds)
        except Empty:
            return False
        if finished is not None:
            self._senders.finish(finished)
            self._outcomes.finished.append(finished)
            if isinstance(finished.result, Exception):
                self._outcomes.release(self._senders.withdraw_paused())
        return True
