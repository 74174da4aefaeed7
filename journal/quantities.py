"""Sizes and numbers of things, as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})", re.ASCII)

_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|)", re.ASCII)


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `20GB` or `1.5 GiB` names.

    Raises:
        ValueError: It has no unit, one that is not known, or names less than one byte.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not size:
        raise ValueError(f"{text!r} is not a size; write a number and one of {', '.join(_UNITS)}, such as 20GB")
    return size


def parse_milliseconds(text: str) -> float:
    """Return the seconds that a text such as `5`, `5ms` or `0.1s` names; a number alone is of milliseconds.

    Raises:
        ValueError: It is something else.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time; write milliseconds, such as 5 or 5ms")
    return float(match[1]) / (1 if match[2] == "s" else 1000)


def readable(size: float) -> str:
    """Return a number of bytes in the largest decimal unit that it has one of: `1.2 GB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def count(number: int, noun: str) -> str:
    """Return a number of things in words: `1 run`, `2 runs`, `3 deliveries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def epoch_in_words(number: object) -> str:
    """Return an epoch as a trainer counts it, from 1: `epoch 3`; "" for what is no number.

    Args:
        number: From 0, as in the journal.
    """
    return f"epoch {number + 1}" if isinstance(number, int) else ""


def epochs_in_words(numbers: Iterable[int]) -> str:
    """Return epochs as a trainer counts them, from 1: `epoch 3`, `epochs 3-5, 7`.

    Args:
        numbers: Numbers from 0, as in the journal, each once; at least one.
    """
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][-1] == number:
            spans[-1][-1] += 1
        else:
            spans.append([number + 1, number + 1])
    listed = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans)
    return f"epoch {listed}" if listed.isdigit() else f"epochs {listed}"
