"""What a platform must have of a run by what the journal holds of it. Pure.

Each event is planned by itself, by the platform's own planner, and what its delivery leaves there is kept until a later
one of the run takes its place. So what is expected is what is sent, and no second description of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from journal.kinds import CHECKPOINT
from journal.reading.run_at_destination import RunAtDestination
from journal.records import Event, PlannedDelivery
from uploader.platforms.plans import Planning
from uploader.platforms.reading_back import Item, Place


@dataclass(frozen=True)
class Expected:
    """An item that must be there.

    Attributes:
        item: The item.
        event: The event whose delivery leaves it there.
        is_first: Whether nothing of the run was to be in its place before.
    """

    item: Item
    event: Event
    is_first: bool = True


@dataclass
class Expectation:
    """What a platform must have of a run.

    Attributes:
        items: By place, in the order of the run.
        damaged: Events that cannot be planned, as their payload is damaged.
    """

    items: dict[Place, Expected] = field(default_factory=dict)
    damaged: list[Event] = field(default_factory=list)

    def take(self, event: Event, items: Sequence[Item]) -> None:
        """Add what an event leaves, in the place of what earlier ones left."""
        for item in items:
            if item.is_lasting and (item.kind, item.key) in self.items:
                continue
            before = self.items.pop((item.kind, item.key), None)  # the later one also has the later place in the order
            if item.value is not None:
                self.items[item.kind, item.key] = Expected(item, event, before is None)


def expectation(recorded: RunAtDestination, planning: Planning) -> Expectation:
    """Return what a platform must have of a run.

    Args:
        recorded: The run as the journal has it.
        planning: The platform's.
    """
    expected = Expectation()
    context = Context(planning.context)
    for event in recorded.events:
        if planning.kinds is not None and event.kind not in planning.kinds:
            continue
        if not _is_given_up(recorded, event):
            try:
                expected.take(event, _left(planning, event, context.before()))
            except Exception:  # noqa: BLE001  whatever is wrong with it, nothing can be expected of it
                expected.damaged.append(event)
                continue
        context.note(event)
    return expected


class Context:
    """The last events of the kinds that a planner has to know of, for each event in turn."""

    def __init__(self, wanted: Mapping[str, int]) -> None:
        """Know none yet.

        Args:
            wanted: How many of each kind are kept.
        """
        self._kept: dict[str, deque[tuple[int, Event]]] = {kind: deque(maxlen=most) for kind, most in wanted.items()}
        self._number = 0

    def note(self, event: Event) -> None:
        """Remember the next event."""
        self._number += 1
        if event.kind in self._kept:
            self._kept[event.kind].append((self._number, event))

    def before(self) -> list[Event]:
        """Return what is kept, in the order of the run."""
        kept = sorted((each for events in self._kept.values() for each in events), key=lambda one: one[0])
        return [event for _, event in kept]


def deliveries(planning: Planning, events: Sequence[Event], before: Sequence[Event]) -> Sequence[PlannedDelivery]:
    """Return what consecutive events become when they are planned by themselves.

    Raises:
        Exception: One of them is damaged.
    """
    return planning.plan(events, 0, before, 0).deliveries


def _left(planning: Planning, event: Event, before: Sequence[Event]) -> list[Item]:
    assert planning.items is not None  # who cannot be read back is not asked
    return [item for one in deliveries(planning, [event], before) for item in planning.items(one)]


def _is_given_up(recorded: RunAtDestination, event: Event) -> bool:
    """Return whether an event is of a checkpoint that was evicted before it arrived, which the journal has recorded."""
    if event.kind != CHECKPOINT or not any(digest in event.payload for digest in recorded.removed):
        return False
    sent = recorded.sent.get(event.id)
    return sent is None or sent.state != "delivered"
