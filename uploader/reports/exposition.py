"""The text format that Prometheus reads (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One value.

    Attributes:
        labels: What it is a value of, by the labels' names.
        value: The value.
    """

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Gauge:
    """A value that may rise and fall, of several things.

    Attributes:
        name: With its unit.
        help: What it tells, in one sentence.
        samples: The values.
    """

    name: str
    help: str
    samples: Sequence[Sample] = field(default_factory=tuple)


def exposition(gauges: Sequence[Gauge]) -> str:
    """Return the text, with a newline at its end; a gauge without samples is left out.

    Args:
        gauges: Each name once.
    """
    return "".join(_gauge(one) for one in gauges if one.samples)


def _gauge(gauge: Gauge) -> str:
    lines = [f"# HELP {gauge.name} {_escaped(gauge.help)}", f"# TYPE {gauge.name} gauge"]
    lines += [f"{gauge.name}{_labels(one.labels)} {_number(one.value)}" for one in gauge.samples]
    return "".join(f"{one}\n" for one in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    """Return a number; whole ones have no fraction, and none is rounded."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
