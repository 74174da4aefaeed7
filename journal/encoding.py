"""Any payload as JSON text: what JSON cannot carry is replaced, never refused."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 50


def encode(payload: Mapping[str, Any]) -> str:
    """Return the payload as JSON text of an object.

    Non-finite floats become null; numpy and torch values become numbers and lists; anything else that JSON has no
    word for becomes its `str`. The common case costs one `json.dumps`.
    """
    try:
        encoded = json.dumps(payload, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        encoded.encode()  # a lone surrogate, e.g. from a file name that is not UTF-8, cannot be stored as text
        return encoded
    except (TypeError, ValueError, RecursionError):
        return json.dumps(_plain(payload, _MAX_DEPTH), allow_nan=False, separators=(",", ":"))


def _plain(value: Any, depth: int) -> Any:
    """Return the nearest value that JSON can carry; `depth` ends cycles."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth - 1) for item in value]
    return _foreign(value, depth - 1)


def _foreign(value: Any, depth: int) -> Any:
    """Return a numpy or torch value as numbers (both know `tolist`), anything else as text.

    A foreign object may raise anything at all when it is asked for either.
    """
    with contextlib.suppress(Exception):
        return _plain(value.tolist(), depth)
    with contextlib.suppress(Exception):
        return str(value)
    return f"<{type(value).__name__}>"
