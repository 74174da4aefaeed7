"""Heads of runs that came into a shared journal after all of them was delivered: platforms are told them, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from journal.outbox.head_notes import due
from journal.outbox.outbox import Outbox
from uploader.delivery.sender import Sender

LOOK_SECONDS = 20.0
"""How often it is looked for them, and in any case when a drain begins: nobody waits for a head."""


class DueHeads:
    """Looks for what is due. The drain's main thread owns it."""

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = time.monotonic) -> None:
        """Look for nothing yet."""
        self._begin = outbox.begin
        self._clock = clock
        self._next_look = 0.0

    def hand_over(self, senders: Iterable[Sender]) -> None:
        """Have the senders that can be reached tell what is due where they lead."""
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK_SECONDS
        open_senders = [sender for sender in senders if not sender.paused]
        with self._begin(read_only=True) as connection:
            found = [(sender, run) for sender in open_senders for run in due(connection, sender.destination.id)]
        for sender, run in found:
            sender.tell_heads(run)
