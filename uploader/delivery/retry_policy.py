"""What becomes of a delivery whose attempt failed. Pure: the same failure at the same time gives the same outcome.

| failure | outcome |
|---|---|
| unreachable, no key, interrupted | released: not the delivery's fault, not counted |
| the journal is an older copy | released; it blocks the run |
| credentials refused | again when the key is; counted, as it may have arrived all the same |
| the same, to reading alone | again after a wait |
| pages that something in between answers this delivery with, and no other | dead letter |
| transient, unknown outcome | again after a growing, jittered wait, or when the platform said |
| refused | dead letter; it blocks the run when the run cannot be registered or is gone there |
| damaged | dead letter; it blocks the run when the run cannot be registered |
| blob unusable | superseded when a newer checkpoint replaces it, else dead letter |
| transient, unknown outcome, blob unusable, of a checkpoint that a newer one replaces | superseded |
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from journal.clock import LONGEST_BACKOFF, to_text
from journal.kinds import REGISTRATION
from journal.records import Claim, Outcome
from uploader.delivery.timing import Timing
from uploader.errors import (
    BlobUnusable,
    CredentialsRefused,
    Damaged,
    Foreign,
    Interrupted,
    NoKey,
    OlderCopy,
    ReadRefused,
    Refused,
    RunGone,
    Transient,
    Unreachable,
)

FIRST_WAIT = Timing.first_wait
READ_WAIT = Timing.reopen
LONGEST_WAIT = LONGEST_BACKOFF.total_seconds()

_LET_THROUGH = (
    "other deliveries get through, but a proxy or firewall rejects this one each time. Allow it there, then run `retry`"
)

Random = Callable[[], float]
"""Uniform in [0, 1)."""


def backoff(failures: int, random: Random, longest: float = LONGEST_WAIT, first: float = FIRST_WAIT) -> float:
    """Return the backoff after this many failures in a row, in seconds: it doubles, jittered between half and all.

    Args:
        failures: At least 1.
        random: Spreads waits that begin together.
        longest: Upper bound, seconds.
        first: After the first failure, seconds.
    """
    full = min(longest, first * 2.0 ** min(failures - 1, 30))
    return full * (0.5 + random() / 2)


def outcome_of_failure(
    claim: Claim,
    error: Exception,
    *,
    now: datetime,
    random: Random,
    replaced: bool,
    first_wait: float = FIRST_WAIT,
    read_wait: float = READ_WAIT,
    alone: bool = False,
) -> Outcome:
    """Return what becomes of a claimed delivery.

    Args:
        claim: The delivery.
        error: Why the attempt failed. Anything but a `DeliveryError` is a fault of this program and tried again.
        now: The current time.
        random: For the wait.
        replaced: Whether a newer checkpoint stands in for this one, which is not final.
        first_wait: After the first failure, seconds.
        read_wait: Before the platform is asked again for what the key may not read, seconds.
        alone: Whether this delivery has been answered by pages before, often, while others arrived.
    """
    reason = str(error) or type(error).__name__
    if isinstance(error, (Unreachable, NoKey, Interrupted, OlderCopy)):
        return Outcome(claim, "release", error=reason, block=reason if isinstance(error, OlderCopy) else None)
    if isinstance(error, CredentialsRefused):
        due = to_text(now + timedelta(seconds=read_wait)) if isinstance(error, ReadRefused) else None
        return Outcome(claim, "retry", error=reason, next_attempt_at=due)
    if isinstance(error, (Refused, Damaged)):
        return Outcome(claim, "dead", error=reason, block=reason if _ends_run(claim, error) else None)
    if replaced:
        return Outcome(claim, "superseded", error=reason)
    if isinstance(error, BlobUnusable) or alone:
        return Outcome(claim, "dead", error=f"{reason}; {_LET_THROUGH}" if alone else reason)
    asked = error.retry_after if isinstance(error, Transient) else None
    wait = max(backoff(claim.attempt, random, first=first_wait), asked or 0.0)
    due = to_text(now + timedelta(seconds=wait))
    foreign = isinstance(error, Foreign)
    return Outcome(claim, "retry", error=reason, next_attempt_at=due, held=asked is not None, foreign=foreign)


def _ends_run(claim: Claim, error: Refused | Damaged) -> bool:
    """Return whether nothing else of the run can be delivered after this failure."""
    return isinstance(error, RunGone) or (claim.kind == REGISTRATION and not claim.ids)
