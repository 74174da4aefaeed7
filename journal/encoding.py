"""Any payload as JSON text: what JSON cannot carry is replaced, never refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from journal.handler_errors import raised_in_handler

# SQLite's JSON functions refuse text that nests deeper than 1,000 levels: one such row would break the views.
_MAX_DEPTH = 50
# Python refuses to write integers beyond 4,300 digits in decimal, or to read them.
_MAX_BITS = 14_000
_CUT = "…"
# As text they would take 20 times as many bytes as this, and as Python's numbers twice that.
_MOST_NUMBERS = 2_000_000
# Made once: `json.dumps` with options makes an encoder for each call, and this is the hot path.
_SCALARS = frozenset({str, int, float, bool, type(None)})
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


class _Tolerance:
    """Passes over errors, but not over what a signal handler raises."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, Exception) and not raised_in_handler(error)


_TOLERANCE = _Tolerance()


def encode(payload: Mapping[str, Any]) -> str:
    """Return the payload as JSON text of an object; it never raises.

    Non-finite floats become null; numpy and torch values become numbers and lists; anything else that JSON has no
    word for becomes its `str`. What nests too deep, or contains itself, is cut off. The common case costs one
    look and one encoding.
    """
    with _TOLERANCE:  # also a mapping that another thread writes to
        if not _is_deep(payload, _MAX_DEPTH):
            return _dumps(payload)
    return _dumps(_plain(payload, _MAX_DEPTH, frozenset()))


def plain(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the payload with what `encode` would write in the place of each value that is not JSON's own."""
    if _is_plain(payload, _MAX_DEPTH):
        return payload
    made: Mapping[str, Any] = _plain(payload, _MAX_DEPTH, frozenset())
    return made


def is_plain(payload: Mapping[str, Any]) -> bool:
    """Return whether nobody's code but Python's own runs when the payload is encoded."""
    return _is_plain(payload, _MAX_DEPTH)


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        return depth > 0 and all(type(key) is str and _is_plain(item, depth - 1) for key, item in value.items())
    return (kind is list or kind is tuple) and depth > 0 and all(_is_plain(item, depth - 1) for item in value)


def _dumps(value: Any) -> str:
    encoded = _ENCODER.encode(value)
    encoded.encode()  # a lone surrogate, e.g. from a file name that is not UTF-8, cannot be stored as text
    return encoded


def _is_deep(value: Any, depth: int) -> bool:
    """Return whether containers nest more than `depth` levels; those that contain themselves do."""
    if isinstance(value, dict):
        return depth == 0 or any(_is_deep(item, depth - 1) for item in value.values())
    if isinstance(value, (list, tuple)):
        return depth == 0 or any(_is_deep(item, depth - 1) for item in value)
    return False


def _plain(value: Any, depth: int, inside: frozenset[int]) -> Any:
    """Return the nearest value that JSON can carry.

    Args:
        value: Anything.
        depth: How many more levels are kept.
        inside: The `id` of each container around it, because a cycle with two branches would be followed for ever.
    """
    if value is None or isinstance(value, (int, float, str)):
        return _scalar(value)
    if depth == 0 or id(value) in inside:
        return _CUT
    with _TOLERANCE:  # a foreign object may raise anything at all
        return _members(value, depth - 1, inside | {id(value)})
    return _text(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_BITS else hex(value)
    return value if value is None else storable(value)


def _members(value: Any, depth: int, inside: frozenset[int]) -> Any:
    """Return a container's members, and a numpy or torch value as numbers: both know `tolist`."""
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, depth, inside) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth, inside) for item in value]
    if (numbers := _numbers(value)) > _MOST_NUMBERS:
        return f"{numbers} numbers left out"
    return _plain(value.tolist(), depth, inside)


def _numbers(value: Any) -> int:
    """Return how many numbers an array or tensor holds; `size` is an attribute of one and a method of the other."""
    size = getattr(value, "size", 0)
    return size if isinstance(size, int) else int(value.numel())


def _text(value: Any) -> str:
    with _TOLERANCE:
        return storable(str(value))
    return f"<{type(value).__name__}>"


def storable(text: str) -> str:
    """Return text that UTF-8 can encode; a lone surrogate, as in a file name that is not UTF-8, is written out."""
    return text.encode("utf-8", "backslashreplace").decode()
