"""Ids of console chunks, which begin at the current time: a platform shows chunks in the order of their ids."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

MOST_CHUNKS = 100_000
"""How many chunks a session is assumed to have when only its start is known: half a million lines."""


class ChunkIds:
    """Keeps the ids of a session's chunks above those of the run's earlier sessions, whatever the clock says.

    A machine without a battery-backed clock begins each boot at the same time, and a wrong clock may be set back.

    Attributes:
        reserved: An id that the session's chunks are unlikely to exceed; the next session may begin there if it knows
            nothing else.
    """

    def __init__(self, before: int) -> None:
        """Begin above the given id."""
        self._before = before
        self._shift: int | None = None
        self.reserved = max(before, int(time.time() * 1000)) + MOST_CHUNKS

    def shifted(self, payload: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], str]:
        """Return a chunk's payload and key, with the id shifted by as much as the session's first chunk needs."""
        number = payload.get("chunkId")
        if not isinstance(number, int):
            return payload, key
        if self._shift is None:
            self._shift = max(0, self._before + 1 - number)
        if not self._shift:
            return payload, key
        return {**payload, "chunkId": number + self._shift}, str(number + self._shift)
