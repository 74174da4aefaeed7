"""What `wait` waits for: that a run has arrived, that this was verified, or that a metric is as somebody wants it."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uploader.errors import SettingsError

DELIVERED, VERIFIED = "delivered", "verified"

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*(?P<metric>.*?)\s*(?P<sign>[<>=!~]+)\s*(?P<bound>.*?)\s*", re.DOTALL)
_FORMS = f"it is {DELIVERED}, {VERIFIED}, or a comparison such as 'metrics/mAP50(B)>=0.8', in quotes"


@dataclass(frozen=True)
class Comparison:
    """A metric that is to be at least, or at most, a number.

    Attributes:
        metric: Its name, as the trainer calls it.
        sign: How it is compared.
        bound: With what.
    """

    metric: str
    sign: str
    bound: float

    def holds(self, value: Any) -> bool:
        """Return whether a value is as wanted; what is no number never is."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and _OPERATORS[self.sign](value, self.bound)

    @property
    def wants_more(self) -> bool:
        """Whether higher values are nearer to what is wanted."""
        return self.sign.startswith(">")

    def __str__(self) -> str:
        """Return it as a person writes it."""
        return f"{self.metric}{self.sign}{self.bound:g}"


Condition = str | Comparison
"""`DELIVERED`, `VERIFIED`, or a comparison."""


def parse_condition(text: str) -> Condition:
    """Return the condition that a text names.

    Raises:
        SettingsError: It names none; the message says what is wrong with it.
    """
    if (word := text.strip().lower()) in {DELIVERED, VERIFIED}:
        return word
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise SettingsError(f"{text!r} is nothing that can be waited for; {_FORMS}")
    metric, sign, bound = found["metric"], found["sign"], found["bound"]
    if sign not in _OPERATORS:
        raise SettingsError(f"{text!r} compares by {sign}; write one of {', '.join(_OPERATORS)}")
    if not metric:
        raise SettingsError(f"{text!r} names no metric before {sign}; {_FORMS}")
    return Comparison(metric, sign, _number(bound, text))


def _number(text: str, whole: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{whole!r} compares with {text or 'nothing'!r}, which is no number; {_FORMS}")
    return number
