"""How far a page has been told: the number of the newest change that it knows, in the words of its address."""

from __future__ import annotations

from typing import NamedTuple


class Cursor(NamedTuple):
    """How far a page has been told.

    Attributes:
        start: Names the log of changes that the number is of; a server that is started again has another one.
        number: Of the newest change that was told.
        beyond: The number of the last epoch that was told, -1 for none; of a list, nothing.
        model: The model that this is about; of a list, nothing.
    """

    start: str
    number: int
    beyond: int = -1
    model: str = ""

    def __str__(self) -> str:
        return ".".join(map(str, self))


def read(text: str | None) -> Cursor | None:
    """Return a cursor that was told before, or None for anything else."""
    parts = (text or "").split(".", 3)
    try:
        return Cursor(parts[0], int(parts[1]), int(parts[2]), parts[3])
    except (IndexError, ValueError):
        return None
