"""Puts what a tracker wrote in many pieces together: one step for each number, whole lines of the console."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import ConsoleText, Problem, Step


class CollectedSteps:
    """What was measured, by the number of the step; what comes later takes the place of the same name."""

    def __init__(self) -> None:
        self._values: dict[int, dict[str, Any]] = {}
        self._times: dict[int, datetime] = {}
        self._parts: dict[int, int] = {}
        self._again: set[int] = set()
        self._without = 0

    def add(self, number: Any, values: Mapping[str, Any], at: datetime | None, *, part: int = 0) -> None:
        """Add what was measured.

        Args:
            number: Of the step; left out if it is none from 0.
            values: By name.
            at: When.
            part: Which start of the run measured it: one that goes on may measure a step again.
        """
        if not isinstance(number, int) or number < 0:
            self._without += 1
            return
        if self._parts.setdefault(number, part) != part:
            self._again.add(number)
        self._values.setdefault(number, {}).update(values)
        if at is not None and at > self._times.get(number, at.min.replace(tzinfo=at.tzinfo)):
            self._times[number] = at

    def forget_from(self, number: int) -> None:
        """Forget what was measured in this step and later ones: the loop went back to it."""
        for each in [known for known in self._values if known >= number]:
            del self._values[each]
            self._times.pop(each, None)

    def steps(self) -> tuple[Step, ...]:
        """Return the steps in ascending order."""
        return tuple(Step(each, self._values[each], self._times.get(each)) for each in sorted(self._values))

    def last_time(self) -> datetime | None:
        """Return when something was measured last."""
        return max(self._times.values(), default=None)

    def problems(self, what: str) -> list[Problem]:
        """Return what could not be kept as it was written.

        Args:
            what: The place that the steps come from.
        """
        found = []
        if self._without:
            found.append(Problem(what, f"{count(self._without, 'value')} without a step from 0 left out"))
        if self._again:
            first, steps = min(self._again), len(self._again)
            found.append(
                Problem(
                    what,
                    f"{steps} steps were logged by two starts of the run (first: step {first}); "
                    "of what both logged, the later is taken",
                )
            )
        return found


class ConsoleLines:
    """Text that arrives in pieces, as whole lines. Streams do not mix within a line."""

    def __init__(self) -> None:
        self._lines: list[ConsoleText] = []
        self._open: dict[str, tuple[str, datetime | None]] = {}

    def add(self, stream: str, text: str, at: datetime | None) -> None:
        """Add a piece that was written to a stream."""
        whole, separator, rest = (self._open.pop(stream, ("", None))[0] + text).rpartition("\n")
        if separator:
            self._lines.append(ConsoleText(whole + separator, at))
        if rest:
            self._open[stream] = (rest, at)

    def texts(self) -> tuple[ConsoleText, ...]:
        """Return the lines in the order in which they became whole; an open one is ended."""
        ends = [ConsoleText(rest + "\n", at) for rest, at in self._open.values()]
        return (*self._lines, *ends)
