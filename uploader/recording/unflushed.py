"""Events that the journal has taken, and that may not be on the disk yet.

They are kept until their flush has succeeded: after a failed one they can be written elsewhere.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from journal.sessions.identity import Entry
from journal.storage.flusher import Flusher, Written


class UnflushedEvents:
    """The newest events of a session, in order; the caller keeps other threads out, except from `wait`.

    Attributes:
        flushed: Number of the session's last event up to which all are known to be on the disk; 0 for none.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.flushed = 0
        self._waiting: deque[tuple[Written, Sequence[Entry]]] = deque()
        self._flushers: list[Flusher] = []  # several where the journal was opened again

    def add(self, written: Written, entries: Sequence[Entry]) -> None:
        """Keep events that were written, if any, and let go of those whose flush has succeeded meanwhile."""
        self.settle()
        self._waiting.append((written, entries))
        if written.flusher not in self._flushers:
            self._flushers.append(written.flusher)

    def settle(self) -> int:
        """Let go of the events that are on the disk by now; return `flushed`."""
        waiting = self._waiting
        while waiting and waiting[0][0].is_durable:
            _, entries = waiting.popleft()
            self.flushed = entries[-1][4] if entries else self.flushed
        if not waiting:
            self._flushers.clear()
        return self.flushed

    def wait(self, seconds: float) -> bool:
        """Wait until all that is here now is on the disk; return whether it is.

        Raises:
            OSError: A flush has failed; `take` returns what it may have lost.
        """
        until = time.monotonic() + seconds
        flushers = list(self._flushers)
        return all(each.wait(each.written, max(0.0, until - time.monotonic())) for each in flushers)

    def take(self) -> list[Entry]:
        """Return all that is not known to be on the disk, and forget it."""
        self.settle()
        taken = [entry for _, entries in self._waiting for entry in entries]
        self._waiting.clear()
        self._flushers.clear()
        return taken

    def __len__(self) -> int:
        """Return how many writes are not known to be on the disk."""
        return len(self._waiting)
