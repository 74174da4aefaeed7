"""Reading an object piece by piece, from anywhere in it, in bounded memory.

Once it is read on, the next part is fetched while one is sent, so that neither the store nor the platform waits for the
other. The threads for that, one at a time, begin and end here.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

PARTS = 2
"""Parts in memory, besides the one that comes: a chunk of an upload is digested, and then read again to be sent."""


PATIENCE = 2.0
"""Seconds that a part which nobody wants any more is waited for."""


class RangedReader:
    """An object, open for reading; see `journal.records.OpenedContent`. One thread uses it.

    Each part is fetched by one short request of its own, so that a slow platform holds up no answer of the store.
    """

    def __init__(self, fetch: Callable[[int, int], memoryview], size: int, part: int) -> None:
        """Begin at the beginning; nothing is read yet.

        Args:
            fetch: Returns the bytes from an offset on, so many.
            size: Of the object.
            part: Bytes that are fetched at a time.
        """
        self._fetch, self._size, self._length = fetch, size, part
        self._position = 0
        self._parts: OrderedDict[int, memoryview] = OrderedDict()
        self._coming: tuple[int, Future[memoryview]] | None = None
        self._thread: Thread | None = None

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        if self._position >= self._size:
            return b""
        start = self._position - self._position % self._length
        skipped = self._position - start
        block = bytes(self._part(start)[skipped : skipped + max(size, 0)])
        self._position += len(block)
        return block

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go on elsewhere; return where that is, from the beginning."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def close(self) -> None:
        """Let go of what was fetched, and wait a moment for what still comes; a store that hangs is left to itself."""
        self._parts.clear()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _part(self, start: int) -> memoryview:
        if start not in self._parts:
            while len(self._parts) >= PARTS:  # before the next one comes
                self._parts.popitem(last=False)
            self._parts[start] = self._taken(start)
            if start - self._length in self._parts:
                self._look_ahead(start + self._length)
        self._parts.move_to_end(start)
        return self._parts[start]

    def _taken(self, start: int) -> memoryview:
        coming, self._coming = self._coming, None
        if coming is not None and coming[0] == start:
            return coming[1].result()
        return self._fetched(start)

    def _fetched(self, start: int) -> memoryview:
        return self._fetch(start, min(self._length, self._size - start))

    def _look_ahead(self, start: int) -> None:
        if start < self._size:
            coming: Future[memoryview] = Future()
            self._coming = start, coming
            # A daemon: a request that hangs must not keep the process from ending.
            self._thread = Thread(target=self._fetch_into, args=(coming, start), name="blob-reader", daemon=True)
            self._thread.start()

    def _fetch_into(self, coming: Future[memoryview], start: int) -> None:
        try:
            coming.set_result(self._fetched(start))
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            coming.set_exception(error)
