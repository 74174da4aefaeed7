"""An estimate of the memory that a JSON text needs once it is parsed, made from its bytes. Pure.

A text of 30 MB that contains nothing but `[]` becomes ten million lists. The estimate counts the brackets, commas and
colons outside strings.
"""

from __future__ import annotations

from uploader.server.http_errors import TooLarge

MAX_COST = 384 * 1024 * 1024
"""Bytes that the values of one text may need. A confusion matrix of 1,200 classes needs an eighth of this."""

_HARMLESS = 1024 * 1024  # a text of at most this many bytes needs at most a fifth of `MAX_COST`
_WINDOW = 1024 * 1024  # bytes scanned at once
_STRING = 56
_COSTS = {b"[": 96, b"{": 240, b",": 32, b":": 80}  # bytes per list, object, element and name, rounded up


def check_cost(text: bytes) -> None:
    """Refuse a text whose values would need too much memory.

    Raises:
        TooLarge: The estimate is above `MAX_COST`.
    """
    if len(text) > _HARMLESS and cost(text) > MAX_COST:
        raise TooLarge("The JSON contains more values than are accepted at once: send it in parts")


def cost(text: bytes) -> int:
    """Estimate how many bytes the values of a JSON text need, without the characters of its strings."""
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # each remaining quotation mark begins or ends a string
    total, in_string = 0, 0
    for start in range(0, len(plain), _WINDOW):
        parts = plain[start : start + _WINDOW].split(b'"')
        structure = b"".join(parts[in_string::2])
        total += sum(structure.count(sign) * each for sign, each in _COSTS.items()) + _STRING * (len(parts) // 2)
        in_string ^= (len(parts) - 1) % 2
    return total
