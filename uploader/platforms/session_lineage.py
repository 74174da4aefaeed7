"""Sessions of a run, as their registrations and the platform's models tell them, and whether one goes on from another.

Each carries its own uuid, that of the session that it continues, and a generation: one more than the one before it. Two
copies of a machine, or of a run's folder, that go on apart have sessions of one generation.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Session:
    """A process's part of a run.

    Attributes:
        uuid: Its own.
        generation: 1 for a run's first.
        parent: Uuid of the session that it continues; None for the first.
        ancestors: Uuids of all that led to it, as far as they are told; with the parent.
    """

    uuid: str
    generation: int
    parent: str | None
    ancestors: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Session | None:
        """Return the session that an environment tells of; None where it is of an earlier version, or another client.

        Args:
            data: A registration's data, or a platform's model: both have an `environment`.
        """
        environment = data.get("environment")
        told = environment.get("uploaderSession") if isinstance(environment, dict) else None
        if not isinstance(told, dict):
            return None
        name, generation, parent = told.get("uuid"), told.get("generation"), told.get("parent")
        if not isinstance(name, str) or not isinstance(generation, int):
            return None
        parent = parent if isinstance(parent, str) else None
        listed = told.get("ancestors")
        led = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        return cls(name, generation, parent, frozenset([*led, *([parent] if parent else [])]))

    def is_of_line(self, other: Session) -> bool:
        """Return whether the other is this one, or one of the two has led to the other."""
        return self.uuid == other.uuid or other.uuid in self.ancestors or self.uuid in other.ancestors

    @classmethod
    def told(cls, data_json: str) -> Session | None:
        """Return the session that a registration tells of."""
        return cls.of(json.loads(data_json)) if '"uploaderSession"' in data_json else None


def is_apart(ours: Session, theirs: Session, known: Collection[str]) -> bool:
    """Return whether a session that a model has heard of last is none of those that lead to ours, or follow it.

    Args:
        ours: What is to be registered.
        theirs: The model's last.
        known: Uuids of the run's sessions that our journal has.
    """
    if ours.is_of_line(theirs) or theirs.uuid in known:
        return False
    # An older one may have led to ours through others that the platform has not heard of.
    return theirs.generation >= ours.generation - 1
