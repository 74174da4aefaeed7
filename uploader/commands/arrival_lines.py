"""What a person who watches a drain is told of each delivery that has arrived."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import PurePath

from journal.evaluations import looks_like_one, said
from journal.kinds import (
    CHECKPOINT,
    COMPLETE,
    CONVERSION,
    DATASET,
    DETAIL,
    EPOCH,
    EPOCHS_TOGETHER,
    FAILED,
    INTENTS,
    REGISTRATION,
)
from journal.quantities import count, epoch_in_words, readable
from journal.records import Claim
from uploader.delivery.progress import Progress
from uploader.run_selection import full_name

TIMES = "%Y-%m-%d %H:%M:%S"
"""How the time of a line is written."""
_MILESTONES = {REGISTRATION: "its start", COMPLETE: "its end", FAILED: "its failure"}
_INTENTS = {DATASET: "its dataset {}", DETAIL: "its {}", CONVERSION: "the order to convert it to {}"}


class ArrivalLines:
    """Prints a line for each epoch and each upload that has arrived; the rest is shown by another progress."""

    def __init__(self, say: Callable[[str], None], beside: Progress) -> None:
        """Prepare.

        Args:
            say: Prints a line.
            beside: Shows the rest.
        """
        self._say = say
        self._told_apart: set[str] = set()  # runs whose epochs do not all look like evaluations
        self.settled, self.expect, self.upload, self.close = beside.settled, beside.expect, beside.upload, beside.close

    def arrived(self, claim: Claim) -> None:
        """Print a line, with the time."""
        if what := self._told(claim):
            self._print(f"{full_name(claim.run)}: {what} arrived")

    def refused(self, claim: Claim, why: str) -> None:
        """Print a line, with the time."""
        self._print(f"{full_name(claim.run)}: {self._told(claim) or claim.kind} was refused: {why}")

    def _print(self, line: str) -> None:
        self._say(f"{datetime.now().astimezone():{TIMES}}  {line}")

    def _told(self, claim: Claim) -> str | None:
        """Return what a delivery is; None for what is too frequent to be told: console text and system metrics."""
        try:
            return self._epoch(claim) if claim.kind == EPOCH else _what(claim)
        except (ValueError, KeyError, TypeError, AttributeError):  # a body of an earlier version, or of another program
            return claim.kind

    def _epoch(self, claim: Claim) -> str:
        epoch = json.loads(claim.body)
        is_evaluation = looks_like_one(epoch["metrics"])
        if not is_evaluation:
            self._told_apart.add(claim.run.id)
        if (is_said := said(epoch)) is not None or claim.run.id not in self._told_apart:
            is_evaluation = bool(is_said)  # a loop of one's own may give no losses of a validation in any epoch
        return f"{epoch_in_words(int(epoch['epoch']))}{' (an evaluation)' if is_evaluation else ''}"


def _what(claim: Claim) -> str | None:
    if claim.kind == EPOCHS_TOGETHER:
        numbers = sorted(int(number) for number in json.loads(claim.body)["metrics"])
        return f"{count(len(numbers), 'epoch')} up to {epoch_in_words(numbers[-1])}"
    if claim.kind == CHECKPOINT:
        file = json.loads(claim.body)
        size = f" ({readable(file['size'])})" if isinstance(file.get("size"), int) else ""
        return f"{PurePath(str(file.get('filename') or claim.role)).name}{size}"
    if claim.kind in INTENTS:
        return _INTENTS[claim.kind].format(claim.role)
    return _MILESTONES.get(claim.kind)
