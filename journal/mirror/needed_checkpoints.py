"""Which checkpoints runs need, judged by the segments that their events are in. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from journal.kinds import CHECKPOINT, FINAL
from journal.mirror.segments import Segment, columns

_MARK = f'"kind":"{CHECKPOINT}"'.encode()


@dataclass
class NeededCheckpoints:
    """The newest checkpoint of each run and role, and all that trainings ended with.

    Attributes:
        newest: Place in the run and sha256, by run and role.
        final: The sha256 of those that trainings ended with.
    """

    newest: dict[tuple[str, str], tuple[tuple[int, int], str]] = field(default_factory=dict)
    final: set[str] = field(default_factory=set)

    def note(self, segment: Segment) -> None:
        """Look at the events of a segment."""
        for event, sha256 in _saved_in(segment):
            self._note(segment, event["key"], event["seq"], sha256)

    def sha256s(self) -> set[str]:
        """Return the sha256 of each."""
        return self.final | {sha256 for _, sha256 in self.newest.values()}

    def _note(self, segment: Segment, role: str, seq: int, sha256: str) -> None:
        if role == FINAL:
            self.final.add(sha256)
        place = (segment.header.generation or 0, seq)
        known = self.newest.get((segment.name.run, role))
        if known is None or known[0] < place:
            self.newest[segment.name.run, role] = (place, sha256)


def saved_in(segment: Segment) -> set[str]:
    """Return the sha256 of each checkpoint that the events of a segment are about."""
    return {sha256 for _, sha256 in _saved_in(segment)}


def _saved_in(segment: Segment) -> Iterator[tuple[dict[str, Any], str]]:
    for line in segment.lines:
        event = columns(line) if _MARK in line else None
        if event and (sha256 := saved(event)):
            yield event, sha256


def saved(event: Mapping[str, Any]) -> str | None:
    """Return the sha256 of the checkpoint that an event is about, by its columns; None for any other event."""
    if event["kind"] != CHECKPOINT:
        return None
    try:
        found = json.loads(event["payload"]).get("sha256")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
