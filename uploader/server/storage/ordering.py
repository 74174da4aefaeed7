"""Which of two messages about the same is the later one, as clients tell it; without that, what comes last counts.

A client's header names the span of events that a message is made of: the generation of their session (a run's later
sessions have higher ones), the session's name, and the numbers of the first and the last event in it.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADER = "Uploader-Order"
IGNORED = "it is older than what is here"
"""What a client is told of a message that changes nothing."""

_BITS = 40


@dataclass(frozen=True)
class Order:
    """Where a message belongs.

    Attributes:
        rank: Grows within a run.
        session: Name of the session.
        first: Number of the first event that it is made of.
        last: Number of the last one.
    """

    rank: int
    session: str
    first: int
    last: int


def read(header: str | None) -> Order | None:
    """Return the order that a header tells; None where it tells none: `2 SESSION 17 SESSION 21`."""
    parts = (header or "").split(" ")
    if len(parts) != 5 or parts[1] != parts[3] or not all(part.isascii() and part.isdigit() for part in parts[::2]):
        return None
    generation, first, last = (int(part[:20]) for part in parts[::2])
    if generation >> 20 or not first <= last < 1 << _BITS:
        return None
    return Order((generation << _BITS) + last, parts[1], first, last)


def is_older(order: Order | None, rank: int | None) -> bool:
    """Return whether a message is older than what has this rank; not where either does not tell."""
    return order is not None and rank is not None and order.rank < rank
