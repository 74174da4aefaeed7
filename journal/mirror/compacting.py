"""Compacting a mirror: many small segments become a larger one, and what nothing needs any more is deleted later.

The merged segment is written first; those that it replaces are deleted after a grace period, once it was read back. So
there is no moment without a complete copy, also on a drive that sends in another order, and nobody who restores at that
moment misses any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from journal.errors import DamagedMirror
from journal.mirror import checkpoint_parts, segments
from journal.mirror.holdings import Holdings
from journal.mirror.layout import SegmentName
from journal.mirror.segment_reading import read_segment
from journal.mirror.segments import Segment
from journal.mirror.stores import Store

GRACE_SECONDS = 600.0
"""How long what was replaced stays."""
FANOUT = 16
"""So many neighbours of about one size are merged, so that an event is written anew a few times at most."""


class _Removal(NamedTuple):
    """An object that is deleted at a time; a segment only if another one that has all its events can be read then."""

    due: float
    name: str
    segment: SegmentName | None
    checkpoint: str | None = None


class Compacting:
    """Compacts the sessions of one mirroring."""

    def __init__(self, store: Store, holdings: Holdings, clock: Callable[[], float] = time.monotonic) -> None:
        """Do nothing yet.

        Args:
            store: The mirror.
            holdings: What it has; what is merged is noted there.
            clock: Seconds; never goes back.
        """
        self._store = store
        self._holdings = holdings
        self._clock = clock
        self._removals: list[_Removal] = []
        self._large: set[SegmentName] = set()  # too large to be merged with its neighbour

    def step(self, *, is_last: bool = False) -> None:
        """Merge what can be merged, and delete what has been replaced for long enough.

        Args:
            is_last: Whether all small neighbours are merged, because no more events come.
        """
        for session in self._holdings.sessions() if is_last else self._holdings.take_changed():
            names = [name for name in self._holdings.names(session) if name not in self._large]
            for group in mergeable(names, 2 if is_last else FANOUT, by_size=not is_last):
                self._merge(group)
        due = [one for one in self._removals if one.due <= self._clock()]
        self._removals = self._removals[len(due) :]
        readable: dict[SegmentName, bool] = {}
        for one in due:
            if one.checkpoint:
                checkpoint_parts.delete(self._store, one.checkpoint)
            elif one.segment is None or self._is_replaced(one.segment, readable):
                self._store.delete(one.name)

    def discard(self, name: str, segment: SegmentName | None = None, age: float = 0.0) -> None:
        """Have an object deleted that is not needed any more.

        Args:
            name: Its name.
            segment: The same, of a segment.
            age: For how many seconds it has not been needed.
        """
        self._remove(_Removal(self._clock() + max(0.0, GRACE_SECONDS - age), name, segment))

    def discard_checkpoint(self, sha256: str) -> None:
        """Have a checkpoint deleted that is not needed any more."""
        self._remove(_Removal(self._clock() + GRACE_SECONDS, "", None, sha256))

    def _remove(self, removal: _Removal) -> None:
        self._removals.append(removal)
        self._removals.sort(key=lambda one: one.due)

    def _merge(self, group: Sequence[SegmentName]) -> None:
        parts: list[Segment] = []
        room = segments.MOST_BYTES
        for name in group:
            try:
                part = read_segment(self._store, name)
            except DamagedMirror:  # its events are handed over again, as far as the journal has them
                self._holdings.forget(name)
                return
            room -= sum(map(len, part.lines))
            if room < 0:
                self._large.add(name)
                break
            parts.append(part)
        if len(parts) > 1:
            self._put(segments.merge(parts), [part.name for part in parts])

    def _put(self, merged: Segment, replaced: list[SegmentName]) -> None:
        self._store.put(str(merged.name), merged.content())
        self._holdings.replace(replaced, merged.name)
        for name in replaced:
            self.discard(str(name), name)

    def _is_replaced(self, name: SegmentName, readable: dict[SegmentName, bool]) -> bool:
        """Return whether a segment that can be read has all events of another; it is read once for all of these."""
        by = next((one for one in self._holdings.names(name.session) if one != name and one.covers(name)), None)
        if by is not None and by not in readable:
            try:
                readable[by] = bool(read_segment(self._store, by))
            except DamagedMirror:
                readable[by] = False
        return by is not None and readable[by]


def mergeable(names: Iterable[SegmentName], least: int, *, by_size: bool = True) -> list[list[SegmentName]]:
    """Return groups of at least so many segments of a session that follow each other and make one.

    Args:
        names: In any order; none has events of another.
        least: The number.
        by_size: Whether only segments of about one size are merged.
    """
    stretches: list[list[SegmentName]] = []
    for name in sorted(names, key=lambda name: name.first):
        if stretches and _go_together(stretches[-1], name, by_size=by_size):
            stretches[-1].append(name)
        else:
            stretches.append([name])
    return [stretch for stretch in stretches if len(stretch) >= least]


def _go_together(stretch: Sequence[SegmentName], name: SegmentName, *, by_size: bool) -> bool:
    events = name.last - stretch[0].first + 1
    if name.first != stretch[-1].last + 1 or events > segments.MOST_EVENTS:
        return False
    return not by_size or _size(stretch[-1]) == _size(name)


def _size(name: SegmentName) -> int:
    """Return the order of magnitude of a segment's size."""
    events, size = name.last - name.first + 1, 0
    while events >= FANOUT:
        events, size = events // FANOUT, size + 1
    return size
