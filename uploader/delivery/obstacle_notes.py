"""What a drain finds in the way of whole destinations, noted in the journal, where it outlives the drain."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from journal.errors import JournalError
from journal.outbox.obstacles import Cause
from journal.outbox.outbox import Outbox
from uploader.delivery.sender import Sender
from uploader.errors import CredentialsRefused, NoAddress, NoKey, UploaderError

AGAIN_SECONDS = 60.0
"""How often a drain that watches notes that the same is in the way still."""


@dataclass
class ObstacleNotes:
    """Notes what is in the way. The drain's main thread owns it.

    Attributes:
        outbox: The journal's.
    """

    outbox: Outbox
    _noted: Mapping[int, tuple[Cause, str]] = field(default_factory=dict)
    _next: float = 0.0

    def note(self, senders: Iterable[Sender]) -> None:
        """Note what is in the way of these; that nothing is any more, the next delivery there tells.

        What cannot be written is found again by the next drain, if not by this one.
        """
        told = {sender.destination.id: in_the_way(sender.refused, sender.why_away) for sender in senders}
        found = {place: one for place, one in told.items() if one is not None}
        if not found or (found == self._noted and time.monotonic() < self._next):
            return
        with suppress(JournalError):
            self.outbox.settlement.note_obstacles(found, now=self.outbox.now())
            self._noted, self._next = found, time.monotonic() + AGAIN_SECONDS


def in_the_way(refused: UploaderError | None, away: str | None) -> tuple[Cause, str] | None:
    """Return what is in the way of a destination and why, else None. Pure.

    Args:
        refused: Why nothing is sent there.
        away: Why it takes nothing now.
    """
    if refused is None:
        return None if away is None else ("away", away)
    if isinstance(refused, NoAddress):  # it is no place yet
        return None
    cause: Cause = "key refused" if isinstance(refused, CredentialsRefused) else "not supported"
    return "no key" if isinstance(refused, NoKey) else cause, str(refused)
