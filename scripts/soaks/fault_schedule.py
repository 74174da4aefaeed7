"""Which requests to a platform fail and how, decided by a seed alone: no I/O, no clock, no order of arrival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

Call = Literal["register", "message", "prepare", "put", "form", "read"]
"""The purpose of a request: to register a run, to send an event, to request an upload URL, to upload bytes there, to
upload a file to the platform itself, to read."""

EVERYTHING: frozenset[Call] = frozenset({"register", "message", "prepare", "put", "form", "read"})
_JSON: frozenset[Call] = EVERYTHING - {"put"}
_PUT: frozenset[Call] = frozenset({"put"})
_FILE: frozenset[Call] = frozenset({"put", "form"})

SUITABLE: Mapping[str, frozenset[Call]] = {
    # nothing was handled
    "refused": EVERYTHING,  # connections are refused for a while, and open ones are reset
    "dropped before": EVERYTHING,
    "reset in the body": _FILE,
    "408": EVERYTHING,
    "425": _JSON,
    "429": EVERYTHING,  # with Retry-After and the number of remaining requests
    "500": EVERYTHING,
    "502": EVERYTHING,  # as HTML
    "503": EVERYTHING,  # with Retry-After
    "504": EVERYTHING,  # as HTML
    "sign-in page": EVERYTHING,  # HTML with 200, as a captive portal answers
    "foreign JSON": EVERYTHING,  # an unrelated object with status 200, as from a gateway's health check
    "redirect": EVERYTHING,  # to another host, which must never be contacted
    "expired": _PUT,  # the storage's 400, 401, 403 or 410
    "deleted": frozenset({"message", "prepare", "form"}),  # 404, although the model exists
    # it was handled
    "dropped after": EVERYTHING,
    "late": EVERYTHING,  # after the client's time-out
    "truncated": EVERYTHING,
    "500 after": EVERYTHING,
    "wrong JSON": _JSON,
    "cancelled": frozenset({"message"}),
    # half of it was handled
    "torn": _FILE,  # the server receives fewer bytes, and its own answer is passed on
    "torn and praised": _FILE,  # it receives fewer bytes, and a success is returned
}
"""Every fault, and the requests that it can affect."""

MAX_FAULTY_ATTEMPTS = 4
"""After this many attempts a request always succeeds, so that every schedule ends."""


@dataclass(frozen=True)
class Schedule:
    """Which request meets which fault.

    A request is identified by its purpose, its label, and the number of its attempts, not by when it arrives, because
    threads and processes race. So the same seed always breaks the same requests.

    Attributes:
        seed: Decides everything.
        rate: Share of requests that fail.
    """

    seed: str
    rate: float

    @classmethod
    def of(cls, seed: str) -> Schedule:
        """Return the schedule of a seed, with few faults or with many."""
        return cls(seed, Random(f"{seed}/rate").choice((0.05, 0.2, 0.4, 0.7)))

    def fault(self, call: Call, label: str, attempt: int) -> str | None:
        """Return the fault of a request, or None.

        Args:
            call: Its purpose.
            label: What distinguishes it from others, e.g. `epoch_end 3`.
            attempt: The number of the attempt, from 1.
        """
        random = Random(f"{self.seed}/{call}/{label}/{attempt}")
        if attempt > MAX_FAULTY_ATTEMPTS or random.random() >= self.rate:
            return None
        return random.choice(sorted(fault for fault, calls in SUITABLE.items() if call in calls))
