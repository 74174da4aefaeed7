"""Ids of console chunks: a platform shows them in the order of their ids, which begin at the time of day."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

MOST_CHUNKS = 100_000
"""So many chunks a session may have printed where only its beginning is known: half a million lines."""


class ChunkIds:
    """Keeps a session's chunks above all earlier ones of the run, whatever the clock says.

    A machine without a clock of its own begins each boot at the same time; one that was wrong is set back.

    Attributes:
        reserved: No chunk of the session is likely to have a higher id, so that the next session may begin there when
            it knows no more than this.
    """

    def __init__(self, before: int) -> None:
        """Begin above an id."""
        self._before = before
        self._shift: int | None = None
        self.reserved = max(before, int(time.time() * 1000)) + MOST_CHUNKS

    def placed(self, payload: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], str]:
        """Return a chunk's payload and key; all chunks of a session are moved by as much as the first one needs."""
        number = payload.get("chunkId")
        if not isinstance(number, int):
            return payload, key
        if self._shift is None:
            self._shift = max(0, self._before + 1 - number)
        if not self._shift:
            return payload, key
        return {**payload, "chunkId": number + self._shift}, str(number + self._shift)
