"""Which numbers of a session's events are there, as ranges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

HIGHEST = 1 << 53
"""No event has a higher number."""


class Numbers:
    """A set of numbers from 1 on, kept as ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with these ranges, each with its first and last number."""
        self._ranges: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add the numbers from `first` to `last`."""
        apart = [one for one in self._ranges if one[1] < first - 1 or one[0] > last + 1]
        joined = [one for one in self._ranges if one not in apart]
        low = min([first, *(one[0] for one in joined)])
        high = max([last, *(one[1] for one in joined)])
        self._ranges = sorted([*apart, (low, high)])

    def missing(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of numbers that are not there; the last one has no end."""
        ends = [(0, 0), *self._ranges, (HIGHEST, HIGHEST)]
        for (_, before), (after, _) in pairwise(ends):
            if before + 1 < after:
                yield before + 1, after - 1

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return sum(last - first + 1 for first, last in self._ranges)
