"""What was evicted or left out, recorded as an event of the run itself, so that nothing is lost silently."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from journal.quantities import readable


@dataclass(frozen=True)
class Loss:
    """Things of one kind that a run has lost.

    Attributes:
        what: In the plural, its noun the first word in -s: `checkpoints`, `console chunks`, …
        count: How many.
        bytes: Their size.
    """

    what: str
    count: int
    bytes: int


def loss_payload(reason: str, losses: Iterable[Loss]) -> dict[str, Any]:
    """Return the payload of a `given_up` event.

    Args:
        reason: Why, in words that continue "given up:".
        losses: What was lost.
    """
    return {"reason": reason, "items": [asdict(loss) for loss in losses]}


def in_words(item: Mapping[str, Any]) -> str:
    """Return one of a payload's items as people read it: `1 checkpoint (5 MB)`, `2 console chunks (9 kB)`."""
    what = re.sub(r"s\b", "", item["what"], count=1) if item["count"] == 1 else item["what"]
    return f"{item['count']} {what} ({readable(item['bytes'])})"
