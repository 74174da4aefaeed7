"""How a run stands with everything that goes somewhere: whether it wants a person, waits, or has arrived. Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import TYPE_CHECKING

from journal.kinds import GOING_ON

if TYPE_CHECKING:
    from journal.reading.remaining import Remaining


class Standing(IntEnum):
    """How a run stands, those first that want a person."""

    TROUBLE = 0
    RUNNING = 1
    WAITING = 2
    DELIVERED = 3
    VERIFIED = 4
    DROPPED = 5

    @property
    def word(self) -> str:
        """It, for `--state` and JSON."""
        return self.name.lower()

    @property
    def in_words(self) -> str:
        """It, for people: of what was only delivered nobody has looked whether it is there."""
        return {"trouble": "in trouble", "delivered": "delivered (not verified)"}.get(self.word, self.word)


def standing_of(state: str, targets: Collection[Remaining]) -> Standing:
    """Return how a run stands.

    Args:
        state: Of its training.
        targets: What remains of it at each destination.
    """
    is_live, waits, is_verified = False, not targets, True
    for one in targets:  # one loop, as it is asked of thousands of runs
        if one.dropped_at is not None:
            continue
        if one.state == "blocked" or one.dead or is_wrong_there(one) or is_kept_out(one):
            return Standing.TROUBLE
        is_live, waits = True, waits or bool(one.pending or one.unplanned)
        is_verified = is_verified and one.verification is not None and one.verification.is_verified
    if state in GOING_ON:
        return Standing.RUNNING
    if waits:
        return Standing.WAITING
    return (Standing.VERIFIED if is_verified else Standing.DELIVERED) if is_live else Standing.DROPPED


def is_wrong_there(target: Remaining) -> bool:
    """Return whether reading a run back has shown that something is missing or different, and that still holds."""
    found = target.verification
    return found is not None and found.is_current and bool(found.missing or found.different)


def is_kept_out(target: Remaining) -> bool:
    """Return whether what waits does not get there before a person has done something, as a drain has found."""
    return target.obstacle is not None and target.obstacle.wants_person
