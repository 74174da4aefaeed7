"""Sessions of a run, as registrations and the platform's models name them, and whether one continues another.

Each has a uuid, the uuid of the session that it continues, and a generation, one above that session's. Two copies of a
machine or of a run's folder that continue separately have sessions of the same generation.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReportedSession:
    """One process's part of a run.

    Attributes:
        uuid: Its own.
        generation: 1 for a run's first.
        parent: Uuid of the session that it continues; None for the first.
        ancestors: Uuids of all known sessions that led to it, including the parent.
    """

    uuid: str
    generation: int
    parent: str | None
    ancestors: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> ReportedSession | None:
        """Return the session that an environment names; None if an earlier version or another client wrote it.

        Args:
            data: A registration's data, or a platform's model: both have an `environment`.
        """
        environment = data.get("environment")
        reported = environment.get("uploaderSession") if isinstance(environment, dict) else None
        if not isinstance(reported, dict):
            return None
        name, generation, parent = reported.get("uuid"), reported.get("generation"), reported.get("parent")
        if not isinstance(name, str) or not isinstance(generation, int):
            return None
        parent = parent if isinstance(parent, str) else None
        listed = reported.get("ancestors")
        led = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        return cls(name, generation, parent, frozenset([*led, *([parent] if parent else [])]))

    def is_of_line(self, other: ReportedSession) -> bool:
        """Return whether the two are the same, or one led to the other."""
        return self.uuid == other.uuid or other.uuid in self.ancestors or self.uuid in other.ancestors

    @classmethod
    def of_registration(cls, data_json: str) -> ReportedSession | None:
        """Return the session that a registration names."""
        return cls.of(json.loads(data_json)) if '"uploaderSession"' in data_json else None


def is_apart(ours: ReportedSession, theirs: ReportedSession, known: Collection[str]) -> bool:
    """Return whether a model's newest session neither led to ours nor follows it.

    Args:
        ours: The session to register.
        theirs: The model's newest.
        known: Uuids of the run's sessions in our journal.
    """
    if ours.is_of_line(theirs) or theirs.uuid in known:
        return False
    # An older one may have led to ours through sessions that the platform does not know.
    return theirs.generation >= ours.generation - 1
