"""What a platform's planner is, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from journal.records import Event, PlannedDelivery
from uploader.platforms.reading_back import Item


@dataclass(frozen=True)
class Plan:
    """What becomes of a span of events.

    Attributes:
        deliveries: What is to be sent.
        through: Id of the last event that was looked at.
        stage: Stage of the last delivery, or the one given when there is none.
    """

    deliveries: tuple[PlannedDelivery, ...]
    through: int
    stage: int


@dataclass(frozen=True)
class Planning:
    """How the events of a run become deliveries to one kind of platform.

    Attributes:
        plan: Next events, stage so far, the last events of `context` before them, and the generation of the session
            that the last event before them is of, to a plan. Pure; an exception means that one of them is damaged.
        kinds: Kinds of events that matter; None for all.
        roles: Roles of the checkpoints that are sent; None for those that were published, whatever their role.
        context: How many of the last events of a kind `plan` has to know, also when they are planned already.
        rest_seconds: Least time between two plans of a run whose backlog is planned. What happens meanwhile is
            planned together, and so sent together.
        items: A delivery to what it leaves on the platform, in the order in which that takes the place of what was
            there. Pure. None where nothing can be read back.
    """

    plan: Callable[[Sequence[Event], int, Sequence[Event], int], Plan]
    kinds: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    context: Mapping[str, int] = field(default_factory=dict)
    rest_seconds: float = 0.0
    items: Callable[[PlannedDelivery], Iterable[Item]] | None = None
