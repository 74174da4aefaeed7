"""Encoding any payload as JSON: values that JSON cannot represent are replaced, never refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from journal.handler_errors import raised_in_handler

# SQLite's JSON functions refuse text that nests deeper than 1,000 levels: one such row would break the views.
_MAX_DEPTH = 50
# Python refuses to write integers beyond 4,300 digits in decimal, or to read them.
_MAX_BITS = 14_000
_CUT = "…"
# As text they would take 20 times as many bytes as this, and as Python's numbers twice that.
_MOST_NUMBERS = 2_000_000
_SCALARS = frozenset({str, int, float, bool, type(None)})
_CONTAINERS = frozenset({dict, list, tuple})
_KEYS = frozenset({str})
# Made once: `json.dumps` with options makes an encoder for each call, and this is the hot path.
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
    encoding.
    """
    try:
        text = _dumps(payload)
        # What opens no more brackets cannot nest deeper; those in a text only cost the look.
        if text.count("{") + text.count("[") <= _MAX_DEPTH or not _is_deep(payload):
            return text
    except Exception as error:  # also of a mapping that another thread writes to
        if raised_in_handler(error):
            raise
    return _dumps(_plain(payload, _MAX_DEPTH, frozenset()))


def plain(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the payload with what `encode` would write in the place of each value that is not JSON's own."""
    if is_plain(payload):
        return payload
    made: Mapping[str, Any] = _plain(payload, _MAX_DEPTH, frozenset())
    return made


def is_plain(payload: Mapping[str, Any]) -> bool:
    """Return whether encoding the payload runs no code but Python's own."""
    levels: list[Iterator[Any]] = [iter((payload,))]
    while levels:  # without recursion, as this is the hot path
        for value in levels[-1]:
            kind = type(value)
            if kind in _SCALARS:
                continue
            if kind not in _CONTAINERS or len(levels) > _MAX_DEPTH:
                return False
            if kind is dict and not {*map(type, value)} <= _KEYS:
                return False
            levels.append(iter(value.values() if kind is dict else value))
            break
        else:
            levels.pop()
    return True


def _dumps(value: Any) -> str:
    encoded = _ENCODER.encode(value)
    if not encoded.isascii():
        encoded.encode()  # a lone surrogate, e.g. from a file name that is not UTF-8, cannot be stored as text
    return encoded


def _is_deep(payload: Mapping[str, Any]) -> bool:
    """Return whether containers nest more than `_MAX_DEPTH` levels, as do those that contain themselves."""
    levels: list[Iterator[Any]] = [iter((payload,))]
    while levels:  # without recursion, as this is the hot path
        for value in levels[-1]:
            if isinstance(value, (dict, list, tuple)):
                if len(levels) > _MAX_DEPTH:
                    return True
                levels.append(iter(value.values() if isinstance(value, dict) else value))
                break
        else:
            levels.pop()
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
