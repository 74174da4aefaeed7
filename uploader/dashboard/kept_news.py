"""Runs that were read lately: a comparison asks for the same runs again and again, for other curves each time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from uploader.dashboard import page_json
from uploader.dashboard.run_source import RunSource, UnknownRun
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
        self._lock = threading.Lock()  # threads that read at once would only hold each other up
        self._kept: dict[str, RunNews] = {}

    def of(self, source: RunSource, keys: Sequence[str]) -> Mapping[str, RunNews]:
        """Return what is known of runs; one is read only if it has changed since it was kept."""
        with self._lock:
            known = {key: self._kept[key] for key in keys if key in self._kept}
            found = source.curves(keys, known)
            for key in keys:
                self._kept.pop(key, None)
            self._kept |= found
            while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > self._most:
                del self._kept[next(iter(self._kept))]  # the one that was asked for longest ago
        return found


def curves_of_news(source: RunSource, keys: Sequence[str], known: Mapping[str, RunNews]) -> Mapping[str, RunNews]:
    """Return what a comparison shows of runs, for a source that reads runs as wholes; see `RunSource.curves`."""
    found = {}
    for key in keys:
        with suppress(UnknownRun):
            found[key] = _curves_of_news(source, key, known.get(key))
    return found


def news_of_runs(source: RunSource, since: Mapping[str, str]) -> Mapping[str, RunNews]:
    """Return what is new of runs by their cursors, and nothing of those that are not there."""
    found = {}
    for key, cursor in since.items():
        with suppress(UnknownRun):
            found[key] = source.news(key, cursor)
    return found


def _curves_of_news(source: RunSource, key: str, known: RunNews | None) -> RunNews:
    newer = source.news(key, known.cursor) if known else None
    if known and newer and set(page_json.change(newer)) == {"cursor"}:
        return replace(known, cursor=newer.cursor)
    return replace(source.news(key), console="", system=Columns())


def _size(found: RunNews) -> int:
    return len(found.epochs.at) * len(found.epochs.values)
