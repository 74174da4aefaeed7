"""Where the sessions of a journal wrote: into it, or into another journal, of which it has what was brought so far.

A process that is gone has written its last word into the journal that it wrote to. What came from there, by a
collector, a mirror or a pack, may have come before that word: only what has come tells whether such a training goes
on, not whether its process can be seen, be it on this very machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

PLACE = "place"
"""Name of the fact that holds where the journal was created or migrated, by which a copy is recognised."""

ELSEWHERE = "elsewhere"
"""Value of that fact in a journal that runs came into from another one, as they all do into a shared one."""

UNPACKED = "unpacked"
"""The same, of runs from packs: who has packed them knows what became of their trainings, and silence tells nothing."""

_PLACE = text("SELECT value FROM facts WHERE name = :name").bindparams(name=PLACE)
_COLLECTED = text("SELECT uuid FROM sessions WHERE ended_at IS NULL AND uuid IN (SELECT session FROM collected)")


@dataclass(frozen=True)
class Origin:
    """Where a journal's sessions come from.

    Attributes:
        place: The value of the fact; None if somebody has deleted it.
        is_shared: Whether it is a shared journal, into which the sessions of many machines are brought as they go on.
        collected: Uuids of the open sessions that were brought from journals; only asked for where packs came in, too.
    """

    place: str | None
    is_shared: bool = False
    collected: frozenset[str] = frozenset()

    def is_heard_of(self, session: Row[Any]) -> bool:
        """Return whether heartbeats of a session would come in, so that silence tells something.

        Args:
            session: With its `uuid`.
        """
        return self.place != UNPACKED or session.uuid in self.collected

    def has_written(self, session: Row[Any]) -> bool:
        """Return whether a session wrote to this journal itself, so that nothing of it is missing once it is dead.

        Args:
            session: With its `flushed_seq`, which only who writes to this journal sets.
        """
        return self.place not in {ELSEWHERE, UNPACKED} or session.flushed_seq is not None


def origin(connection: Connection) -> Origin:
    """Return where a journal's sessions come from."""
    place, is_shared = connection.execute(_PLACE).scalar(), connection.dialect.name != "sqlite"
    has_packs = is_shared and place == UNPACKED
    return Origin(place, is_shared, frozenset(connection.execute(_COLLECTED).scalars() if has_packs else ()))
