"""What has to be sent again so that a platform has what the journal holds. Pure.

A run whose model is gone is sent again whole; anything else piece by piece, each planned as it was at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from journal.kinds import CHECKPOINT, DATASET
from journal.outbox.verifications import Verification
from journal.reading.run_at_destination import RunAtDestination
from journal.records import Event, PlannedDelivery
from uploader.platforms.plans import Planning
from uploader.verification.comparing import Checked, is_open, state_of
from uploader.verification.expectation import Context

_WRONG = frozenset({"missing", "different"})
_UNCHANGED = "; it was sent again, and that has not changed it"


@dataclass(frozen=True)
class Mending:
    """What is to be sent again of a run.

    Attributes:
        is_whole: Whether all of it is, because the platform has no model of it.
        deliveries: Otherwise, what is, in order.
        stage: Of the last of these, or of the last that was planned before.
        items: How many of the items that are not right these are of.
        left: Of the others, why nothing is sent for them: items that only a person can put right.
    """

    is_whole: bool
    deliveries: Sequence[PlannedDelivery]
    stage: int
    items: int
    left: Sequence[Checked]


def mending(run: RunAtDestination, checked: Sequence[Checked], planning: Planning) -> Mending:
    """Return what is to be sent again.

    Args:
        run: The run as the journal has it.
        checked: What was found of its items.
        planning: The platform's.
    """
    wrong = [one for one in checked if one.word in _WRONG]
    for one in wrong:
        if one.place[0] == "registration" and one.word == "missing" and one.events:
            waits = is_open(run, one.events[0])
            return Mending(not waits, (), run.target.stage, 0 if waits else _number(wrong), ())
    fixable = [one for one in wrong if _can_be_sent(run, one)]
    sent = list(_groups(fixable, checked, is_blocked=run.target.state == "blocked"))
    deliveries, stage = _planned(run, planning, sent)
    return Mending(False, deliveries, stage, _number(fixable), [one for one in wrong if _is_left(run, one)])


def _number(checked: Sequence[Checked]) -> int:
    return sum(one.count for one in checked)


def with_lasting(
    run: RunAtDestination, checked: Sequence[Checked], last: Callable[[], Verification | None]
) -> Sequence[Checked]:
    """Return what was found, and of each item that was sent again to no effect, that it stays so.

    A platform may take something that it has, and go on showing what it had; sending it once more would promise what
    does not happen. It is so if the same was found before it was sent again.

    Args:
        run: The run as the journal had it before the platform was read.
        checked: What was found of its items.
        last: Returns what was found the last time; asked only where something that has arrived is wrong.
    """
    arrived = {one.place: at for one in checked if one.word in _WRONG and (at := _arrived_at(run, one))}
    before = last() if arrived else None
    if before is None:
        return checked
    return [_lasting(one, arrived[one.place], before) if one.place in arrived else one for one in checked]


def _arrived_at(run: RunAtDestination, one: Checked) -> str | None:
    sent = run.sent.get(one.events[0].id) if one.events else None
    return sent.arrived_at if sent else None


def _lasting(one: Checked, arrived_at: str, before: Verification) -> Checked:
    stays = replace(one, why=one.why + _UNCHANGED, stays=True)
    was_so = one.finding() in before.findings and before.verified_at < arrived_at
    return stays if was_so or stays.finding() in before.findings else one


def _can_be_sent(run: RunAtDestination, one: Checked) -> bool:
    """Return whether the journal has what an item is made of, and nobody else sends it."""
    if not one.events or one.stays or is_open(run, one.events[0]) or state_of(run, one.events[0])[0] == "dropped":
        return False
    return one.place[0] != CHECKPOINT or not _bytes_are_gone(run, one)


def _is_left(run: RunAtDestination, one: Checked) -> bool:
    return not one.waits and not _can_be_sent(run, one)


def _bytes_are_gone(run: RunAtDestination, one: Checked) -> bool:
    return any(digest in one.events[0].payload for digest in run.removed)


def _groups(fixable: Sequence[Checked], checked: Sequence[Checked], *, is_blocked: bool) -> Iterator[Sequence[Event]]:
    """Yield the events that are sent together, in the order of the run.

    A registration opens the model again, so the end that followed it is sent after it. A platform that refused the run
    as a whole and shows its model does not know the newest ids of it, as after an older backup was restored: the
    registration asks for them again. A dataset that is uploaded again is named by the model, so the one that it is to
    name follows.
    """
    reopened = is_blocked or any(one.place[0] == "registration" for one in fixable)
    also = {"registration", "completion"} if reopened and fixable else set()
    again = [one for one in checked if one.events and (one.place[0] in also or _is_renamed(one, fixable))]
    chosen = {one.events[0].id: one.events for one in [*fixable, *again]}
    yield from sorted(chosen.values(), key=lambda events: (events[0].generation, events[0].seq, events[0].id))


def _is_renamed(one: Checked, fixable: Sequence[Checked]) -> bool:
    return one.place == ("detail", DATASET) and any(each.place[0] == DATASET for each in fixable)


def _planned(
    run: RunAtDestination, planning: Planning, groups: Sequence[Sequence[Event]]
) -> tuple[list[PlannedDelivery], int]:
    """Plan groups of consecutive events, each with what the planner has to know of those before it."""
    heads = {events[0].id: events for events in groups}
    context, stage = Context(planning.context), run.target.stage
    deliveries: list[PlannedDelivery] = []
    for event in run.events:
        if event.id in heads:
            plan = planning.plan(heads[event.id], stage, context.before(), 0)
            deliveries += plan.deliveries
            stage = plan.stage
        context.note(event)
    return deliveries, stage
