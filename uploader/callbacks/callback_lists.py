"""The lists of callbacks of a model or trainer that is recorded.

Upstream's own reporting is added to a trainer when it is built, behind whatever a person has added, and so it sees what
their callbacks have changed. Ours stands in no list, where others would be added behind it, and lists are emptied,
replaced and reset: it is what runs last, whatever the list of an event holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from uploader.callbacks.trainer import Callback
from uploader.callbacks.upstream import reporting


class Recorder(Protocol):
    """What runs at the end of each event; can be pickled to other processes."""

    @property
    def platforms(self) -> frozenset[str]:
        """Names of the platforms to which it reports in upstream's place."""

    def callback(self, event: str) -> Callback | None:
        """Return what runs at an event, None for nothing."""


class RecordedLists(defaultdict[str, list[Callback]]):
    """Lists of callbacks by event, with a recorder that runs last.

    It equals the same lists without a recorder, so that upstream trains as it does without one.

    Attributes:
        recorder: What runs last.
    """

    def __init__(self, lists: Mapping[str, list[Callback]], recorder: Recorder) -> None:
        """Take over lists as they are, so that who holds one still adds to it."""
        super().__init__(list, lists)
        self.recorder = recorder

    def get(self, event: str, otherwise: Any = None) -> Any:
        """Return what runs at an event; upstream asks so, each time, and only to run it."""
        listed = super().get(event, otherwise)
        ours = self.recorder.callback(event)
        if ours is None:
            return listed
        return _EventCallbacks(listed or [], reporting(event, self.recorder.platforms), ours)

    def __copy__(self) -> RecordedLists:
        return RecordedLists(self, self.recorder)

    copy = __copy__

    def __reduce__(self) -> tuple[Callable[..., RecordedLists], tuple[Any, ...]]:
        return RecordedLists, (dict(self), self.recorder)


class _EventCallbacks:
    """One event: a list without upstream's reporting, ours behind it.

    A callback that is added to the list while it runs is called as well, before ours. Made for each batch: that has to
    cost nothing.
    """

    __slots__ = ("_listed", "_ours", "_unwanted")

    def __init__(self, listed: list[Callback], unwanted: tuple[Callback, ...], ours: Callback) -> None:
        self._listed, self._unwanted, self._ours = listed, unwanted, ours

    def __iter__(self) -> Iterator[Callback]:
        for callback in self._listed:
            if not any(callback is other for other in self._unwanted):
                yield callback
        yield self._ours

    def __len__(self) -> int:
        return sum(1 for _ in self)
