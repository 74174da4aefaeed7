"""What the last drain found in the way of everything that goes to a destination, in `facts` until something arrives.

It is about no delivery in particular: a key that is refused is refused for all that waits. So it outlives the drain
that learned it, and the first delivery that is made there afterwards removes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, text

from journal.clock import from_text, to_text
from journal.encoding import storable

Cause = Literal["key refused", "no key", "not supported", "away"]
CAUSES: tuple[Cause, ...] = get_args(Cause)
LONG = timedelta(hours=1)
"""A platform that is away for a shorter time is waited for: that needs nobody."""
PREFIX = "obstacle "
"""Followed by the destination's id, it is the name of the fact."""

ALL = text(f"SELECT name, value FROM facts WHERE name > '{PREFIX}' AND name < '{PREFIX.rstrip()}!'")  # noqa: S608
"""The facts that `by_destination` reads; mostly there are none."""
_ONE = text("SELECT value FROM facts WHERE name = :name")
_STORE = text("INSERT INTO facts VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
REMOVE = text(f"DELETE FROM facts WHERE name = '{PREFIX}' || :destination_id")  # noqa: S608 - a constant
"""Forgets what was in the way of a destination. It is part of settling what has arrived, so it takes no detour."""


@dataclass(frozen=True)
class Obstacle:
    """What is in the way of a destination.

    Attributes:
        cause: `key refused`, `no key`, `not supported`, or `away`: it cannot be reached, or answers "later" to all.
        reason: In the words of the drain, without secrets.
        since: When a drain found it first, ISO.
        at: When one found it last, ISO.
    """

    cause: Cause
    reason: str
    since: str
    at: str

    @property
    def wants_person(self) -> bool:
        """Whether it does not go away by itself: a key does not, and a platform that is away for long may not."""
        return self.cause != "away" or from_text(self.at) - from_text(self.since) >= LONG


def note(connection: Connection, destination_id: int, cause: Cause, reason: str, now: datetime) -> None:
    """Note what a drain has found in the way of a destination; the same again is in the way since it was found first.

    Args:
        connection: In a write transaction.
        destination_id: The destination.
        cause: What.
        reason: Why, in words, without secrets.
        now: The current time.
    """
    name, at = _name(destination_id), to_text(now)
    before = from_fact(connection.execute(_ONE, {"name": name}).scalar())
    since = before.since if before is not None and before.cause == cause and before.since <= at else at
    found = Obstacle(cause, storable(reason), since, at)
    connection.execute(_STORE, {"name": name, "value": json.dumps(asdict(found))})


def by_destination(facts: Iterable[Row[Any]]) -> Mapping[int, Obstacle]:
    """Return what is in the way, by the id of the destination; what cannot be read is left out.

    Args:
        facts: As `ALL` returns them.
    """
    found = ((str(row.name).removeprefix(PREFIX), from_fact(row.value)) for row in facts)
    return {int(place): one for place, one in found if one is not None and place.isdecimal()}


def from_fact(value: object) -> Obstacle | None:
    """Return a fact's obstacle; None where there is none, or one that cannot be read."""
    try:
        told = json.loads(str(value))
        found = Obstacle(**{name: str(told[name]) for name in Obstacle.__dataclass_fields__})  # type: ignore[arg-type]
        times = from_text(found.since), from_text(found.at)
    except (ValueError, KeyError, TypeError):
        return None
    return found if found.cause in CAUSES and times else None


def _name(destination_id: int) -> str:
    return f"{PREFIX}{destination_id}"
