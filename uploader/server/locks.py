"""Locks by name, for requests that must not run at the same time. Only for the event loop's thread."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Locks:
    """Gives each name a lock, which goes away with its last user."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """Return the lock of a name; keep a reference to it while it matters."""
        return self._locks.setdefault(name, asyncio.Lock())
