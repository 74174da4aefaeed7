"""What a person who watches a drain is told of each delivery that has arrived."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import PurePath

from journal.kinds import CHECKPOINT, COMPLETE, EPOCH, EPOCHS_TOGETHER, EVALUATED, FAILED, REGISTRATION, VALIDATED
from journal.quantities import count, readable
from journal.records import Claim
from uploader.delivery.progress import Progress
from uploader.run_selection import full_name

TIMES = "%Y-%m-%d %H:%M:%S"
"""How the time of a line is written."""
_MILESTONES = {REGISTRATION: "its start", COMPLETE: "its end", FAILED: "its failure"}


class ArrivalLines:
    """Prints a line for each epoch and each upload that has arrived; the rest is shown by another progress."""

    def __init__(self, say: Callable[[str], None], beside: Progress) -> None:
        """Prepare.

        Args:
            say: Prints a line.
            beside: Shows the rest.
        """
        self._say = say
        self.settled, self.expect, self.upload, self.close = beside.settled, beside.expect, beside.upload, beside.close

    def arrived(self, claim: Claim) -> None:
        """Print a line, with the time."""
        if what := told(claim):
            self._print(f"{full_name(claim.run)}: {what} arrived")

    def refused(self, claim: Claim, why: str) -> None:
        """Print a line, with the time."""
        self._print(f"{full_name(claim.run)}: {told(claim) or claim.kind} was refused: {why}")

    def _print(self, line: str) -> None:
        self._say(f"{datetime.now().astimezone():{TIMES}}  {line}")


def told(claim: Claim) -> str | None:
    """Return what a delivery is; None for what is too frequent to be told: console text and system metrics.

    Args:
        claim: The delivery.
    """
    try:
        return _what(claim)
    except (ValueError, KeyError, TypeError, AttributeError):  # a body of an earlier version, or of another program
        return claim.kind


def _what(claim: Claim) -> str | None:
    if claim.kind == EPOCH:
        epoch = json.loads(claim.body)
        has_losses, is_evaluated = (_has(epoch["metrics"], start) for start in (VALIDATED, EVALUATED))
        kind = " (an evaluation)" if is_evaluated and not has_losses else ""  # as the final one, which trains nothing
        return f"epoch {_as_printed(epoch['epoch'])}{kind}"
    if claim.kind == EPOCHS_TOGETHER:
        numbers = sorted(int(number) for number in json.loads(claim.body)["metrics"])
        return f"{count(len(numbers), 'epoch')} up to epoch {_as_printed(numbers[-1])}"
    if claim.kind == CHECKPOINT:
        file = json.loads(claim.body)
        size = f" ({readable(file['size'])})" if isinstance(file.get("size"), int) else ""
        return f"{PurePath(str(file.get('filename') or claim.role)).name}{size}"
    return _MILESTONES.get(claim.kind)


def _has(metrics: Mapping[str, object], start: str) -> bool:
    return any(name.startswith(start) for name in metrics)


def _as_printed(epoch: int) -> int:
    """Return an epoch's number as trainers print it, from 1."""
    return int(epoch) + 1
