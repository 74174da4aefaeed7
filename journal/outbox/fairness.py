"""Whose delivery is sent next, of those that are due. Pure.

Three queues are interleaved, one delivery of each, so that none of them can keep another waiting:

- `registrations`, the oldest run's first: nothing else of a run can be sent before, and they are small;
- `live`, what runs have to send that are trained at this moment: somebody is watching them, and may want to stop one;
- `others`, the backlog, in the order in which it was planned, which goes round the runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, islice, zip_longest
from typing import Any, Literal, TypeVar, get_args

from sqlalchemy import Row

Queue = Literal["registrations", "live", "others"]
QUEUES: tuple[Queue, ...] = get_args(Queue)

PATIENCE = 3
"""After this many attempts at a registration, a matter of seconds, later runs of that name no longer wait for it."""

SOON = timedelta(minutes=1)
"""Nor do they wait for one that is due later than this, as when the platform has asked for a wait."""

T = TypeVar("T")


def interleave(queues: Sequence[Iterable[T]], first: int, limit: int | None = None) -> list[T]:
    """Return one of each queue after the other, as long as they have any.

    Args:
        queues: In the order in which they begin.
        first: Index of the queue to start with; callers that take one item increment it between calls.
        limit: At most so many; None for all.
    """
    first = first % len(queues)
    passes = zip_longest(*queues[first:], *queues[:first], fillvalue=_NONE)
    in_order = (each for each in chain.from_iterable(passes) if each is not _NONE)
    return list(islice(in_order, limit))  # type: ignore[arg-type]


def first_of_each_name(registrations: Iterable[Row[Any]]) -> Iterator[Row[Any]]:
    """Yield the registrations that may be sent now and need not wait for another one.

    A platform numbers runs of one name in the order in which they arrive, so only one of them is under way at a time.
    `name-2` may be the number that a platform gave, or somebody's choice, and counts as the same name.

    Args:
        registrations: All that are open, the oldest run's first; `timely` when they may be sent now, `soon`
            when within a minute, or under way.
    """
    awaited: set[tuple[str | None, str]] = set()
    for registration in registrations:
        name = (registration.project, _NUMBERS.sub("", registration.name))
        if registration.timely and name not in awaited:
            yield registration
        if registration.soon and registration.attempts < PATIENCE:
            awaited.add(name)


_NONE = object()
_NUMBERS = re.compile(r"(-\d+)+$")
