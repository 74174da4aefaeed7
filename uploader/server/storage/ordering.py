"""Which of two messages about the same thing is the later one. Without an order from the client, the last to arrive is.

The client's header names the span of events that a message was made from: the generation of their session (later
sessions of a run have higher ones), the session's name, and the numbers of the first and the last event.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADER = "Uploader-Order"
IGNORED = "it is older than what is here"
"""Reason given to a client whose message changed nothing."""

_BITS = 40


@dataclass(frozen=True)
class Order:
    """A message's position in its run.

    Attributes:
        rank: Increases within a run.
        session: Name of the session.
        first: Number of the first event that the message was made from.
        last: Number of the last one.
    """

    rank: int
    session: str
    first: int
    last: int

    def is_of_generation(self, rank: int | None) -> bool:
        """Tell whether something of this rank is of the same session of the run, or of a copy of it."""
        return rank is not None and self.rank >> _BITS == rank >> _BITS


def read(header: str | None) -> Order | None:
    """Return the order in a header such as `2 SESSION 17 SESSION 21`, or None if there is none."""
    parts = (header or "").split(" ")
    if len(parts) != 5 or parts[1] != parts[3] or not all(part.isascii() and part.isdigit() for part in parts[::2]):
        return None
    generation, first, last = (int(part[:20]) for part in parts[::2])
    if generation >> 20 or not first <= last < 1 << _BITS:
        return None
    return Order((generation << _BITS) + last, parts[1], first, last)


def is_older(order: Order | None, rank: int | None) -> bool:
    """Tell whether a message is older than something of this rank; if either has no order, it is not."""
    return order is not None and rank is not None and order.rank < rank
