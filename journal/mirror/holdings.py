"""What a mirror is known to have of sessions' events."""

from __future__ import annotations

from collections import defaultdict

from journal.mirror.layout import SegmentName
from journal.mirror.numbers import Numbers


class Holdings:
    """The segments that a mirror has and needs, and the numbers of the events in them, by session."""

    def __init__(self) -> None:
        """Know of none."""
        self._names: dict[str, list[SegmentName]] = defaultdict(list)
        self._numbers: dict[str, Numbers] = defaultdict(Numbers)
        self._changed: set[str] = set()
        self._has_forgotten = False

    def sessions(self) -> list[str]:
        """Return all sessions."""
        return list(self._names)

    def take_changed(self) -> set[str]:
        """Return the sessions whose segments have changed since this was called last."""
        changed, self._changed = self._changed, set()
        return changed

    def take_forgotten(self) -> bool:
        """Return whether a segment was found to be missing since this was called last."""
        has_forgotten, self._has_forgotten = self._has_forgotten, False
        return has_forgotten

    def names(self, session: str) -> list[SegmentName]:
        """Return the segments of a session."""
        return self._names[session]

    def all_names(self) -> set[SegmentName]:
        """Return the segments of all sessions."""
        return {name for own in self._names.values() for name in own}

    def numbers(self, session: str) -> Numbers:
        """Return the numbers of a session's events that are there."""
        return self._numbers[session]

    def events(self, run: str) -> int:
        """Return how many events of a run are there."""
        return sum(len(self._numbers[session]) for session, own in self._names.items() if own and own[0].run == run)

    def add(self, name: SegmentName) -> None:
        """Note that a segment is there."""
        self._names[name.session].append(name)
        self._numbers[name.session].add(name.first, name.last)
        self._changed.add(name.session)

    def replace(self, parts: list[SegmentName], merged: SegmentName) -> None:
        """Note that a segment is there which has all events of others, so that these are not needed."""
        self._names[merged.session] = [name for name in self._names[merged.session] if name not in parts]
        self.add(merged)

    def forget(self, name: SegmentName) -> None:
        """Note that a segment is not there, or damaged."""
        self._has_forgotten = True
        left = [one for one in self._names[name.session] if one != name]
        self._names[name.session] = left
        self._numbers[name.session] = Numbers((one.first, one.last) for one in left)
        self._changed.add(name.session)

    def ending_at(self, session: str, last: int) -> SegmentName | None:
        """Return a segment whose last event has this number."""
        return next((name for name in self._names[session] if name.last == last), None)
