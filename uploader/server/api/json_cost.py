"""How much memory a JSON text may take once it is parsed, told by its bytes. Pure.

A text of 30 MB that holds nothing but `[]` becomes ten million lists. What costs are the signs outside of its strings.
"""

from __future__ import annotations

from uploader.server.http_errors import TooLarge

MOST = 384 * 1024 * 1024
"""Bytes that the values of one text may take. A matrix of 1,200 classes takes an eighth of it."""

_HARMLESS = 1024 * 1024  # bytes of a text that cannot take more than a fifth of that
_WINDOW = 1024 * 1024  # bytes that are looked at at once
_STRING = 56
_PRICES = {b"[": 96, b"{": 240, b",": 32, b":": 80}  # bytes for each list, object, element and name, rounded up


def require_affordable(text: bytes) -> None:
    """Refuse a text whose values would take too much memory.

    Raises:
        TooLarge: They would.
    """
    if len(text) > _HARMLESS and cost(text) > MOST:
        raise TooLarge("The JSON holds more values than are taken at once: send it in parts")


def cost(text: bytes) -> int:
    """Return about how many bytes the values of a JSON text take, without what is in its strings."""
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # every quotation mark that is left begins or ends a string
    total, inside = 0, 0
    for start in range(0, len(plain), _WINDOW):
        parts = plain[start : start + _WINDOW].split(b'"')
        outside = b"".join(parts[inside::2])
        total += sum(outside.count(sign) * price for sign, price in _PRICES.items()) + _STRING * (len(parts) // 2)
        inside ^= (len(parts) - 1) % 2
    return total
