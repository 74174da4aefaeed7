"""The steps of a loop: what was logged in each, as far as it may still be added to."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from journal.metrics import REVISION
from uploader.live.logged_values import Logged

KEPT = 1024
"""So many of the newest steps are kept; an older one that is logged again is looked up."""
_LARGEST = 1 << 53


@dataclass(frozen=True)
class Step:
    """What was logged in a step so far.

    Attributes:
        number: From 0.
        revision: How often it was logged.
        logged: Everything together.
    """

    number: int
    revision: int
    logged: Logged


class Steps:
    """The newest steps of a run.

    Args:
        following: The number of the next step that is logged without one.
        look_up: Returns the payload of a step that was logged before, also in an earlier session; None for no step.
    """

    def __init__(self, following: int = 0, look_up: Callable[[int], Mapping[str, Any] | None] | None = None) -> None:
        self.following = following
        self._look_up = look_up
        self._kept: OrderedDict[int, Step] = OrderedDict()

    def take(self, logged: Logged, number: int | None) -> Step:
        """Add to a step; without a number, begin the next one."""
        chosen = self.following if number is None else number
        before = self._kept.pop(chosen, None) or self._earlier(chosen)
        step = self._kept[chosen] = Step(chosen, before.revision + 1, before.logged.merged(logged))
        self.following = max(self.following, chosen + 1)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return step

    def _earlier(self, number: int) -> Step:
        payload = self._look_up(number) if self._look_up is not None and number < self.following else None
        if payload is None:
            return Step(number, 0, Logged())
        revision = payload.get(REVISION)
        return Step(number, revision if isinstance(revision, int) else 0, Logged.of(payload))


def step_number(step: Any) -> int | None:
    """Return a step as a number, whatever has counted it: Python, numpy or torch.

    Raises:
        ValueError: It is no whole number from 0 on.
    """
    if step is None:
        return None
    try:
        is_whole = isinstance(step, float) and step.is_integer()
        number = int(step) if is_whole else operator.index(step)
    except Exception as error:  # an object of somebody's may raise anything
        raise ValueError("a step is a whole number") from error
    if isinstance(step, bool) or not 0 <= number < _LARGEST:
        raise ValueError("a step is a whole number from 0 on")
    return number
