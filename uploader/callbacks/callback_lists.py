"""The callback lists of a model or trainer that is recorded.

Upstream adds its own reporting to a trainer when it is built, after a person's callbacks, so that it sees what these
have changed. Our callbacks are in no list, because others could be added after them, and lists are emptied, replaced
and reset. They run last instead, whatever an event's list holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from uploader.callbacks.trainer import Callback
from uploader.callbacks.upstream import reporting


class Recorder(Protocol):
    """Provides the callback that runs last at each event; can be pickled to other processes."""

    @property
    def platforms(self) -> frozenset[str]:
        """Names of the platforms to which it reports in upstream's place."""

    def callback(self, event: str) -> Callback | None:
        """Return what runs at an event; None for nothing."""


class RecordedLists(defaultdict[str, list[Callback]]):
    """Callback lists by event, with a recorder that runs last.

    They equal the same lists without a recorder, so that upstream trains as it does without one.

    Attributes:
        recorder: What runs last.
    """

    def __init__(self, lists: Mapping[str, list[Callback]], recorder: Recorder) -> None:
        """Keep the given lists themselves, so that whoever holds one still adds to it."""
        super().__init__(list, lists)
        self.recorder = recorder

    def get(self, event: str, otherwise: Any = None) -> Any:
        """Return what runs at an event; upstream calls this each time, and only to run the result."""
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
    """The callbacks of one event: those of a list but upstream's reporting, then ours.

    A callback that is added to the list meanwhile is called as well, before ours. This is created for each batch, so it
    must cost next to nothing.
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
