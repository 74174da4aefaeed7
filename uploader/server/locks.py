"""Named locks for requests that must not run at the same time. For use in the event loop's thread only."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Locks:
    """Provides one lock per name, which exists as long as somebody uses it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """Return the lock of a name; keep a reference to it as long as you need it."""
        return self._locks.setdefault(name, asyncio.Lock())
