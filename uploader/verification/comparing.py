"""Compares what a platform must have of a run with what it shows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from journal.kinds import CONVERSION, DATASET, MEDIA
from journal.metrics import SOURCE, is_same
from journal.outbox.verifications import Finding, Word
from journal.reading.run_at_destination import RunAtDestination
from journal.records import Event
from uploader.platforms.reading_back import Place, Shown
from uploader.verification.console_comparison import compare_console, times_there
from uploader.verification.expectation import Expectation, Expected
from uploader.verification.values import difference, time_difference

_UNTOLD = "its API does not show that"
_OF_ITS_OWN = frozenset({"results", "completion"})
"""What a platform shows before it was sent: figures of the last epoch, and that the training runs."""
_OPEN = frozenset({"registration", DATASET})
"""What of a platform may add members to what was sent."""
_NOT_OURS = "it is there, and this journal has none of it"


@dataclass(frozen=True)
class Checked:
    """What was found of one item, or of consecutive chunks of console text.

    Attributes:
        place: Which item; of chunks the first.
        word: What is to be said of it.
        why: What was seen, in words; "" for what is proven.
        events: The events that it was made from.
        count: How many items these are.
        sent: What was sent of it; None of console text.
        waits: Whether it waits to be sent, so that nothing is wrong yet.
        stays: Whether sending it again changes nothing of it.
    """

    place: Place
    word: Word
    why: str = ""
    events: Sequence[Event] = ()
    count: int = 1
    sent: Mapping[str, Any] | None = None
    waits: bool = False
    stays: bool = False

    def finding(self) -> Finding:
        """Return it as the journal keeps it."""
        return Finding(label(self.place, self.count), self.word, self.why)


def label(place: Place, count: int = 1) -> str:
    """Return what people call an item; epochs are counted from 1, as trainers count them."""
    kind, key = place
    if kind == "epoch" and key.isdecimal():
        return f"epoch {int(key) + 1}"
    if kind == "detail":
        return "dataset of the model" if key == DATASET else key
    if kind == MEDIA:
        step, _, name = key.partition(" ")
        return f"image or plot '{name}' of step {step}"
    if kind == "console":
        return f"console chunk {key}" if count == 1 else f"console chunk {key} and {count - 1} more"
    return f"{kind} {key}".rstrip()


def compare(run: RunAtDestination, expected: Expectation, shown: Shown, *, is_own: bool = True) -> list[Checked]:
    """Return what is to be said of each item.

    Args:
        run: The run as the journal has it.
        expected: What the platform must have of it.
        shown: What it shows.
        is_own: Whether nobody but this run's trainings wrote to the model.
    """
    checked = [_damaged(event) for event in expected.damaged]
    if run.is_pruned and ("registration", "") not in expected.items:
        found = Checked(("registration", ""), "proven")
        checked.append(replace(found, word="missing", why=shown.absence) if shown.absence else found)
    if shown.absence is not None:
        return checked + [_lost(run, [one], shown.absence) for one in expected.items.values()]
    chunks = [one for (kind, _), one in expected.items.items() if kind == "console"]
    others = [one for (kind, _), one in expected.items.items() if kind != "console"]
    checked += _console(run, chunks, shown)
    comparer = _Comparer(run, shown)
    checked += [comparer.checked(one) for one in others]
    if is_own and run.is_whole:
        checked += _further(expected, shown)
    return checked


class _Comparer:
    """Compares items with what is shown of them."""

    def __init__(self, run: RunAtDestination, shown: Shown) -> None:
        self._run = run
        self._shown = shown
        self._fields: dict[str, set[str]] = {kind: set(names) for kind, names in shown.fields.items()}
        for (kind, _), values in shown.items.items():  # a server may show more than its API promises
            self._fields.setdefault(kind, set()).update(name for value in values for name in value)

    def checked(self, one: Expected) -> Checked:
        kind, events = one.item.kind, (one.event,)
        found = Checked((kind, one.item.key), "proven", "", events, sent=one.item.value)
        if kind not in self._fields:
            return replace(found, word="unreadable", why=self._shown.untold.get(kind, _UNTOLD))
        values = self._values(one)
        if not values:
            return _lost(self._run, [one])
        why = times_there(values) or self._difference(one, values[0]) or self._other_time(one)
        if why and one.item.kind in _OF_ITS_OWN and one.is_first and is_open(self._run, one.event):
            return _lost(self._run, [one])
        return found if why is None else _differs(self._run, found, why, is_doubled=len(values) > 1)

    def _values(self, one: Expected) -> Sequence[Mapping[str, Any]]:
        """Return what is shown of an item; of the same conversions, the one that was ordered for this."""
        values = self._shown.items.get((one.item.kind, one.item.key), ())
        if one.item.kind != CONVERSION:
            return values
        ordered = self._answered(one).get("id")
        return [value for value in values if ordered in {None, value.get("id")}][:1]

    def _answered(self, one: Expected) -> Mapping[str, Any]:
        sent = self._run.sent.get(one.event.id)
        return sent.answer if sent else {}

    def _difference(self, one: Expected, value: Mapping[str, Any]) -> str | None:
        named = self._answered(one) if one.item.kind == "detail" else {}  # such as a version, which the platform counts
        told = {**(one.item.value or {}), **named}
        sent = {name: each for name, each in told.items() if name in self._fields[one.item.kind]}
        if one.item.kind == "completion" and one.event.session_id in self._run.cancelled:
            sent["status"] = (*sent.get("status", ()), "cancelled")
        exact = one.item.kind not in _OPEN
        found = (difference(each, value.get(name), name, exact=exact) for name, each in sent.items())
        why = next(filter(None, found), None)
        return None if why and _has_more_digits(one, value) else why

    def _other_time(self, one: Expected) -> str | None:
        """Return how the time of an item differs, where the platform keeps what it is told of that.

        Of an epoch that was taken in from the trainer's file nobody knows when it ended.
        """
        shown, arrived_at = self._shown.times.get((one.item.kind, one.item.key)), self._shown.arrived_at
        if shown is None or arrived_at is None or isinstance((one.item.value or {}).get(SOURCE), str):
            return None
        why = time_difference(one.event.created_at, shown, arrived_at)
        return f"it {'began' if one.item.kind == 'registration' else 'ended'} at {why}" if why else None


def _has_more_digits(one: Expected, value: Mapping[str, Any]) -> bool:
    """Return whether the platform has an epoch itself that was taken in here from the trainer's file."""
    sent, shown = (one.item.value or {}), value.get("metrics")
    metrics = sent.get("metrics")
    is_salvaged = one.item.kind == "epoch" and isinstance(sent.get(SOURCE), str)
    return is_salvaged and isinstance(metrics, dict) and isinstance(shown, dict) and is_same(metrics, shown)


def _console(run: RunAtDestination, chunks: Sequence[Expected], shown: Shown) -> Iterator[Checked]:
    if "console" not in shown.fields:
        for one in chunks:
            why = shown.untold.get("console", _UNTOLD)
            yield Checked(("console", one.item.key), "unreadable", why, (one.event,))
        return
    by_id = {key: values for (kind, key), values in shown.items.items() if kind == "console"}
    for part in compare_console(chunks, by_id):
        place: Place = ("console", part.chunks[0].item.key)
        events = tuple(chunk.event for chunk in part.chunks)
        if not part.is_there:
            yield from (_lost(run, lost) for lost in _by_state(run, part.chunks))
        elif part.difference is None:
            yield Checked(place, "proven", "", events, len(events))
        else:
            found = Checked(place, "different", "", events, len(events))
            yield _differs(run, found, part.difference, is_doubled=part.is_doubled)


def _by_state(run: RunAtDestination, chunks: Sequence[Expected]) -> Iterator[list[Expected]]:
    """Yield consecutive chunks that became of the same delivery, or of none."""
    together: list[Expected] = []
    for chunk in chunks:
        if together and state_of(run, chunk.event) != state_of(run, together[-1].event):
            yield together
            together = []
        together.append(chunk)
    if together:
        yield together


def _further(expected: Expectation, shown: Shown) -> Iterator[Checked]:
    """Yield epochs and chunks that a platform shows and nobody recorded."""
    for place in shown.items:
        if place[0] in {"epoch", "console"} and place not in expected.items:
            yield Checked(place, "different", _NOT_OURS)


def _lost(run: RunAtDestination, lost: Sequence[Expected], absence: str | None = None) -> Checked:
    """Return what is to be said of items that are not there, of which the same has become."""
    item, events = lost[0].item, tuple(one.event for one in lost)
    why = _why_lost(run, events[0], absence)
    return Checked((item.kind, item.key), "missing", why, events, len(events), waits=is_open(run, events[0]))


def _damaged(event: Event) -> Checked:
    """Return what is to be said of an event of which nobody knows what it should be there."""
    why = f"what the journal holds of this {event.kind} is damaged; `doctor` looks it over"
    return Checked(("event", str(event.id)), "missing", why)


def state_of(run: RunAtDestination, event: Event) -> tuple[str, int]:
    """Return the state of what an event became, and its row."""
    sent = run.sent.get(event.id)
    if sent is not None:
        return sent.state, sent.delivery_id
    return ("unplanned" if event.id > run.target.planned_through else "unsent"), 0


def _why_lost(run: RunAtDestination, event: Event, absence: str | None) -> str:
    state, number = state_of(run, event)
    error = run.sent[event.id].error if event.id in run.sent else None
    words = {
        "unplanned": _why_unplanned(run),
        "unsent": "it was not sent",
        "pending": "it waits to be sent",
        "claimed": "it is being sent, or a killed drain had claimed it: then the next one sends it",
        "dead": f"it was refused, and is dead letter {number}",
        "dropped": "it was dropped",
        "superseded": "it was not sent, as something newer took its place",
        "delivered": absence or "it was taken, and is not there",
    }
    return f"{words[state]}: {error}" if error and state != "delivered" else words[state]


def _why_unplanned(run: RunAtDestination) -> str:
    if run.target.state == "blocked":
        return f"it waits, as the platform refused the run as a whole: {run.target.reason}"
    return "it was not sent yet"


def is_open(run: RunAtDestination, event: Event) -> bool:
    """Return whether the next drain sends an event anyway."""
    return state_of(run, event)[0] in {"pending", "claimed", "unplanned"}


def _differs(run: RunAtDestination, found: Checked, why: str, *, is_doubled: bool) -> Checked:
    """Return what is to be said of an item that is there otherwise, or about to be replaced by what waits here."""
    if not is_doubled and is_open(run, found.events[0]):
        waits = f"{_why_lost(run, found.events[0], None)}, and an earlier one is there"
        return replace(found, word="missing", why=waits, waits=True)
    return replace(found, word="different", why=why, stays=is_doubled)
