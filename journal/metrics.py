"""Comparing two records of an epoch's metrics, of which one may have fewer digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from journal.kinds import TRAINED

IMPORTED = "imported"
"""Member of the `environment` of a run's start: which files the run was brought in from, where nobody recorded it."""
SOURCE = "source"
"""Member of the payload of an epoch that was taken in from a trainer's own record: the name of that file."""


RESULTS = ".csv"
"""How the names of such files end; steps that were brought in have the name of the tracker there."""
REVISION = "revision"
"""Member of the payload of a step that may be logged again: how often it was. A later version tells all of it."""


def counts_steps(told: Mapping[str, Any]) -> bool:
    """Return whether an epoch's payload is of a step of a loop: of one that was logged, or of another tracker's."""
    return REVISION in told or not str(told.get(SOURCE, RESULTS)).endswith(RESULTS)


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two records of an epoch tell of the same training of it.

    Its training losses decide; without any, most of its metrics. (Callbacks of a person may have changed some.)
    """
    common = [name for name in one if name in other and "/" in name]
    decisive = [name for name in common if name.startswith(TRAINED)] or common
    alike = sum(_digits(one[name]) == _digits(other[name]) for name in decisive)
    return alike == len(decisive) if decisive != common else 2 * alike > len(common) or not common


def _digits(value: Any) -> str | None:
    """Return a number with as many digits as trainers write; None for what the journal keeps as no number."""
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return f"{value:.6g}" if is_number else None
