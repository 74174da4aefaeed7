"""The steps of a loop: what was logged in each, as far as it may still be added to."""

from __future__ import annotations

import operator
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from uploader.live.logged_values import Logged

KEPT = 1024
"""So many of the newest steps can be added to; an older one that is logged again is replaced."""
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
    """

    def __init__(self, following: int = 0) -> None:
        self.following = following
        self._kept: OrderedDict[int, Step] = OrderedDict()

    def take(self, logged: Logged, number: int | None) -> Step:
        """Add to a step; without a number, begin the next one."""
        chosen = self.following if number is None else number
        before = self._kept.pop(chosen, Step(chosen, 0, Logged()))
        step = self._kept[chosen] = Step(chosen, before.revision + 1, before.logged.merged(logged))
        self.following = max(self.following, chosen + 1)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return step


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
