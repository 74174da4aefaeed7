"""What goes wrong on the way to a platform, decided by a seed alone: no I/O, no clock, no order of arrival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

Call = Literal["register", "message", "prepare", "put", "form", "read"]
"""What a request is for: to announce a run, to tell an event, to ask for a place, to bring bytes there, to bring a file
to the platform itself, to look."""

EVERYTHING: frozenset[Call] = frozenset({"register", "message", "prepare", "put", "form", "read"})
_JSON: frozenset[Call] = EVERYTHING - {"put"}
_PUT: frozenset[Call] = frozenset({"put"})
_FILE: frozenset[Call] = frozenset({"put", "form"})

SUITABLE: Mapping[str, frozenset[Call]] = {
    # nothing was handled
    "refused": EVERYTHING,  # nobody listens for a while, and open connections are reset
    "dropped before": EVERYTHING,
    "reset in the body": _FILE,
    "408": EVERYTHING,
    "425": _JSON,
    "429": EVERYTHING,  # with Retry-After, and how many requests are left
    "500": EVERYTHING,
    "502": EVERYTHING,  # as HTML
    "503": EVERYTHING,  # with Retry-After
    "504": EVERYTHING,  # as HTML
    "sign-in page": EVERYTHING,  # HTML with 200, as a captive portal answers
    "foreign JSON": EVERYTHING,  # an object with 200 that says nothing, as some gateway's health check
    "redirect": EVERYTHING,  # to another host, which must never hear of it
    "expired": _PUT,  # the storage's 400, 401, 403 or 410
    "deleted": frozenset({"message", "prepare", "form"}),  # 404, though the model is there
    # it was handled
    "dropped after": EVERYTHING,
    "late": EVERYTHING,  # after the client's patience
    "truncated": EVERYTHING,
    "500 after": EVERYTHING,
    "wrong JSON": _JSON,
    "cancelled": frozenset({"message"}),
    # half of it was handled
    "torn": _FILE,  # the server gets fewer bytes, and its own answer comes back
    "torn and praised": _FILE,  # it gets fewer bytes, and a success comes back
}
"""Every fault, and the requests that it can happen to."""

PATIENCE = 4
"""A request that was tried so often gets through, so that every schedule has an end."""


@dataclass(frozen=True)
class Schedule:
    """Which request meets which fault.

    A request is known by what it is for, its label, and how often it has been tried; not by when it comes, because
    threads and processes race. So the same seed breaks the same things however they do.

    Attributes:
        seed: Decides everything.
        rate: Share of the requests that something happens to.
    """

    seed: str
    rate: float

    @classmethod
    def of(cls, seed: str) -> Schedule:
        """Return the schedule of a seed: a nearly calm one or a storm."""
        return cls(seed, Random(f"{seed}/rate").choice((0.05, 0.2, 0.4, 0.7)))

    def fault(self, call: Call, label: str, attempt: int) -> str | None:
        """Return what happens to a request, or None.

        Args:
            call: What it is for.
            label: What tells it from others, e.g. `epoch_end 3`.
            attempt: 1 for the first time that it is seen.
        """
        random = Random(f"{self.seed}/{call}/{label}/{attempt}")
        if attempt > PATIENCE or random.random() >= self.rate:
            return None
        return random.choice(sorted(fault for fault, calls in SUITABLE.items() if call in calls))
