"""When the states of trainings turn because nothing is heard of them."""

from __future__ import annotations

import heapq
import threading


class TurningPoints:
    """The next one of each training. Its methods may be called by several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, str] = {}
        self._queue: list[tuple[str, str]] = []

    def expect(self, model: str, moment: str | None) -> None:
        """Note when the state of a model turns; None: it does not."""
        with self._lock:
            if moment is None:
                self._next.pop(model, None)
            elif self._next.get(model) != moment:
                self._next[model] = moment
                heapq.heappush(self._queue, (moment, model))

    def reached(self, now: str) -> list[str]:
        """Return the models whose state has turned until now, each once."""
        with self._lock:
            found = []
            while self._queue and self._queue[0][0] <= now:
                moment, model = heapq.heappop(self._queue)
                if self._next.get(model) == moment:  # otherwise something was heard of it since
                    del self._next[model]
                    found.append(model)
            return found
