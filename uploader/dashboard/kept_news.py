"""Runs that were read lately: a comparison asks for the same runs again and again, for other curves each time."""

from __future__ import annotations

import threading
from dataclasses import replace

from uploader.dashboard import page_json
from uploader.dashboard.run_source import RunSource
from uploader.dashboard.shown import Columns, RunNews

_VALUES = 1_500_000  # some 50 MB


class KeptNews:
    """Keeps what is known of runs, but for consoles and machines, those that were asked for last."""

    def __init__(self, most: int = _VALUES) -> None:
        """Keep nothing yet.

        Args:
            most: So many values of epochs are kept at most.
        """
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[str, RunNews] = {}

    def of(self, source: RunSource, key: str) -> RunNews:
        """Return what is known of a run; it is read only if it has changed since it was kept.

        Raises:
            UnknownRun: It is not there.
        """
        with self._lock:
            kept = self._kept.get(key)
        newer = source.news(key, kept.cursor) if kept else None
        if kept and newer and set(page_json.change(newer)) == {"cursor"}:
            kept = replace(kept, cursor=newer.cursor)
        else:
            kept = replace(source.news(key), console="", system=Columns())
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = kept
            while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > self._most:
                del self._kept[next(iter(self._kept))]  # the one that was asked for longest ago
        return kept


def _size(found: RunNews) -> int:
    return len(found.epochs.at) * len(found.epochs.values)
