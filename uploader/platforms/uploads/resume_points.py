"""Where interrupted uploads go on, for as long as a client lives.

A ticket holds URLs that let whoever has them upload. So tickets are kept in memory only, and nothing of them is shown.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uploader.platforms.uploads.resumable import Session

MOST_TICKETS = 64
"""So many are kept; an upload whose ticket was given up begins anew."""


@dataclass(frozen=True)
class Ticket:
    """A place that the platform gave for one upload.

    Attributes:
        place: The platform's answer.
        session: Through which the file goes there in chunks; None as long as there is none.
        offset: How many bytes the server has; None when it must be asked.
    """

    place: Mapping[str, Any] = field(repr=False)
    session: Session | None = field(default=None, repr=False)
    offset: int | None = None


class Tickets:
    """Tickets of interrupted uploads, the latest of them. Threads may share it."""

    def __init__(self, most: int = MOST_TICKETS) -> None:
        """Begin without any.

        Args:
            most: How many are kept.
        """
        self._most = most
        self._kept: OrderedDict[str, Ticket] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, chunk_id: str) -> Ticket | None:
        """Return the ticket of an upload, or None."""
        with self._lock:
            return self._kept.get(chunk_id)

    def keep(self, chunk_id: str, ticket: Ticket) -> None:
        """Keep a ticket, and give up the one that was kept first when there are too many."""
        with self._lock:
            self._kept[chunk_id] = ticket
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def forget(self, chunk_id: str) -> None:
        """Give up the ticket of an upload, if there is one."""
        with self._lock:
            self._kept.pop(chunk_id, None)
