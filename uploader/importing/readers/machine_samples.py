"""What trackers measured of the machine, in the form of our own recordings as far as both measure the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from journal.quantities import count
from uploader.importing.imported_run import MachineSample, Problem

Rule = tuple[str, tuple[str, ...], float]
"""A pattern for the tracker's name, the place in our form, and what a value is multiplied by to be of its unit.

A place with `{}` has there what the group of the pattern matched.
"""
_GIB = (1 << 30) / 1e9

OF_WANDB: Sequence[Rule] = (
    (r"cpu", ("cpu",), 1),
    (r"memory_percent", ("ram",), 1),
    (r"disk\.(.+)\.usageGB", ("disk", "{}", "used_gb"), _GIB),
    (r"gpu\.(\d+)\.gpu", ("gpus", "{}", "usage"), 1),
    (r"gpu\.(\d+)\.memoryAllocated", ("gpus", "{}", "memory"), 1),
    (r"gpu\.(\d+)\.temp", ("gpus", "{}", "temp"), 1),
    (r"gpu\.(\d+)\.powerWatts", ("gpus", "{}", "power"), 1),
)
OF_MLFLOW: Sequence[Rule] = (
    (r"system/cpu_utilization_percentage", ("cpu",), 1),
    (r"system/system_memory_usage_percentage", ("ram",), 1),
    (r"system/gpu_(\d+)_utilization_percentage", ("gpus", "{}", "usage"), 1),
    (r"system/gpu_(\d+)_memory_usage_percentage", ("gpus", "{}", "memory"), 1),
    (r"system/gpu_(\d+)_power_usage_watts", ("gpus", "{}", "power"), 1),
)
OF_TRACKIO: Sequence[Rule] = (
    (r"cpu/utilization", ("cpu",), 1),
    (r"memory/percent", ("ram",), 1),
    (r"disk/read_mb_per_sec", ("disk_io", "read_mbs"), 1),
    (r"disk/write_mb_per_sec", ("disk_io", "write_mbs"), 1),
    (r"network/recv_mb_per_sec", ("network", "recv_mbs"), 1),
    (r"network/sent_mb_per_sec", ("network", "sent_mbs"), 1),
    (r"gpu/(\d+)/utilization", ("gpus", "{}", "usage"), 1),
    (r"gpu/(\d+)/memory_usage", ("gpus", "{}", "memory"), 100),
    (r"gpu/(\d+)/temp", ("gpus", "{}", "temp"), 1),
    (r"gpu/(\d+)/power", ("gpus", "{}", "power"), 1),
)


class MachineSamples:
    """What was measured of the machine, by its time; what comes later takes the place of the same name."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Have nothing yet.

        Args:
            rules: How the tracker's names are to be understood.
        """
        self._rules = [(re.compile(pattern), place, factor) for pattern, place, factor in rules]
        self._values: dict[datetime, dict[str, Any]] = {}
        self._without = 0

    def add(self, at: datetime | None, values: Mapping[str, Any]) -> None:
        """Add what was measured at a moment."""
        if at is None:
            self._without += len(values)
        elif values:
            self._values.setdefault(at, {}).update(values)

    def samples(self) -> tuple[MachineSample, ...]:
        """Return the samples in their order."""
        return tuple(self._sample(at, self._values[at]) for at in sorted(self._values))

    def problems(self, what: str) -> list[Problem]:
        """Return what could not be kept.

        Args:
            what: The place that the samples come from.
        """
        why = f"{count(self._without, 'value')} of the machine without a time left out"
        return [Problem(what, why)] if self._without else []

    def _sample(self, at: datetime, values: Mapping[str, Any]) -> MachineSample:
        system: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in values.items():
            place, factor = self._place(name)
            if place and isinstance(value, (int, float)):
                _put(system, place, value * factor if factor != 1 else value)
            else:
                others[name] = value
        if "disk" in system:
            system["disk"] = [{"mount": mount, **facts} for mount, facts in system["disk"].items()]
        return MachineSample(at, system, others)

    def _place(self, name: str) -> tuple[Sequence[str], float]:
        """Return where a value stands in our form; nowhere if that does not know such."""
        for pattern, place, factor in self._rules:
            if found := pattern.fullmatch(name):
                return [part.format(*found.groups()) for part in place], factor
        return (), 1


def _put(target: dict[str, Any], place: Sequence[str], value: Any) -> None:
    *outer, name = place
    for each in outer:
        target = target.setdefault(each, {})
    target[name] = value
