"""What a drain came to, in numbers and as an exit code. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from uploader.errors import CredentialsRefused, KeyNotForHere, NoAddress, NoKey, UploaderError

if TYPE_CHECKING:
    from journal.outbox.claims import HeldElsewhere
    from journal.reading.remaining import DeadLetter
    from journal.reading.report import RunReport, TargetReport

ALL_DELIVERED, WORK_REMAINS, DEAD_LETTERS, NO_CREDENTIALS = 0, 3, 4, 5

State = Literal[
    "up to date",
    "refused in part",
    "all that its mirror has",
    "work remains",
    "unreachable",
    "paused: no key for it here",
    "paused: its address is not known",
    "no key",
    "credentials refused",
    "not supported",
]
NOWHERE = ("", "")
"""Platform and base URL of what goes nowhere yet."""
NOTHING_LEFT: frozenset[State] = frozenset({"up to date", "refused in part"})
"""States in which no later drain will find more to do, unless a person does something."""
_NOT_LET_IN: frozenset[State] = frozenset(
    {"paused: no key for it here", "paused: its address is not known", "no key", "credentials refused"}
)


@dataclass(frozen=True)
class DestinationResult:
    """How a drain left one destination.

    Attributes:
        delivered: Deliveries made by this drain.
        closed: Why nothing more was sent, else None.
        error: Why the host could not be used, else None.
        is_unreachable: Whether the host was found unreachable.
        next_attempt_at: When the next attempt makes sense, ISO, else None.
        runs: Ids of the runs of which something was delivered, in that order.
        made: Deliveries made, by kind.
        bytes: What they held.
        held: What other drains of a shared journal have claimed.
    """

    delivered: int = 0
    closed: UploaderError | None = None
    error: str | None = None
    is_unreachable: bool = False
    next_attempt_at: str | None = None
    runs: tuple[str, ...] = ()
    made: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    held: tuple[HeldElsewhere, ...] = ()


@dataclass(frozen=True)
class DestinationSummary:
    """One destination at the end of a drain, as far as the chosen runs go.

    Attributes:
        platform: Name of the platform's API, "" of runs that go nowhere yet.
        url: Its base URL, "" where nobody knows it yet.
        state: In a word.
        delivered: Deliveries made by this drain.
        pending: Deliveries still to be made.
        unplanned: Events that no delivery was made for yet.
        dead: Dead letters, also from earlier drains.
        blocked: Runs that the platform refuses as a whole.
        waiting: What these hold, in deliveries and events not yet planned; it waits for `uploader retry`.
        error: What is in the way, else None.
        next_attempt_at: When the next attempt makes sense, ISO, else None.
        dead_letters: The dead ones, with the ids that `retry` and `drop` know them by.
        models: Where the models are of all runs of which this drain has delivered something, in that order.
        made: Deliveries made by this drain, by kind.
        bytes: What they held.
        held: What other drains of a shared journal have claimed, and until when.
    """

    platform: str
    url: str
    state: State
    delivered: int
    pending: int
    unplanned: int
    dead: int
    blocked: int
    waiting: int
    error: str | None
    next_attempt_at: str | None
    dead_letters: tuple[DeadLetter, ...] = ()
    models: tuple[str, ...] = ()
    made: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    held: tuple[HeldElsewhere, ...] = ()


@dataclass(frozen=True)
class Summary:
    """A whole drain.

    Attributes:
        destinations: One for each destination of the chosen runs.
        seconds: How long it took.
        interrupted: Whether it was told to stop.
        left_beside: Fallback files and checkpoints of trainings that could not be taken in.
        other_models: In words, the runs that are another model here than where they were drained before.
        not_in_mirror: In words, what of the mirrors that are drained is damaged or missing.
    """

    destinations: tuple[DestinationSummary, ...]
    seconds: float
    interrupted: bool
    left_beside: tuple[str, ...] = ()
    other_models: tuple[str, ...] = ()
    not_in_mirror: tuple[str, ...] = ()

    def refusing(self, other_models: Sequence[str]) -> Summary:
        """Return the same where runs are other models than elsewhere: no destination is up to date then."""
        if not other_models:
            return self
        told = tuple(
            replace(one, state="refused in part") if one.state == "up to date" else one for one in self.destinations
        )
        return replace(self, destinations=told, other_models=(*self.other_models, *other_models))

    def without(self, troubles: Sequence[str]) -> Summary:
        """Return the summary of a drain of mirrors of which something is damaged or missing; nothing is up to date."""
        states: dict[State, State] = {"up to date": "all that its mirror has"}
        each = (replace(one, state=states.get(one.state, one.state)) for one in self.destinations)
        return replace(self, destinations=tuple(each), not_in_mirror=tuple(troubles)) if troubles else self

    @property
    def exit_code(self) -> int:
        """The process's exit code: a key that is missing or refused before remaining work before what was refused."""
        if any(one.state in _NOT_LET_IN for one in self.destinations):
            return NO_CREDENTIALS
        if self.left_beside or self.not_in_mirror or any(one.state not in NOTHING_LEFT for one in self.destinations):
            return WORK_REMAINS
        return (
            DEAD_LETTERS
            if self.other_models or any(one.dead or one.blocked for one in self.destinations)
            else ALL_DELIVERED
        )


def summarize(
    runs: Sequence[RunReport],
    results: Mapping[tuple[str, str], DestinationResult],
    *,
    seconds: float,
    interrupted: bool,
    nowhere: DestinationResult | None = None,
) -> Summary:
    """Put together what the journal says and what the drain saw.

    Args:
        runs: Reports of the chosen runs.
        results: By platform and base URL.
        seconds: How long it took.
        interrupted: Whether it was told to stop.
        nowhere: Why runs go nowhere yet, if some do.
    """
    targets: dict[tuple[str, str], list[TargetReport]] = {}
    pages: dict[tuple[str, str], dict[str, str]] = {}
    for run in runs:
        for target in (one for one in run.targets if one.dropped_at is None):
            targets.setdefault((target.platform, target.base_url), []).append(target)
            pages.setdefault((target.platform, target.base_url), {})[run.id] = target.page or ""
    ended = (
        _destination(key, each, pages[key], results.get(key, DestinationResult())) for key, each in targets.items()
    )
    unrouted = _unrouted(runs, nowhere or DestinationResult())
    return Summary((*ended, *unrouted), seconds, interrupted)


def _unrouted(runs: Sequence[RunReport], result: DestinationResult) -> Sequence[DestinationSummary]:
    """Return, as one destination without a name, what goes nowhere yet: it has not arrived either."""
    events = sum(run.events for run in runs if not run.targets)
    if not events:
        return ()
    state, error = _state(events, 0, result), str(result.closed or "") or None
    return (DestinationSummary(*NOWHERE, state, 0, 0, events, 0, 0, 0, error, None),)


def _destination(
    key: tuple[str, str], targets: Sequence[TargetReport], pages: Mapping[str, str], result: DestinationResult
) -> DestinationSummary:
    # What a platform refuses as a whole is told by its dead letter; waiting for it would never end.
    live = [target for target in targets if target.state != "blocked"]
    blocked = [target for target in targets if target.state == "blocked"]
    pending = sum(target.pending for target in live)
    unplanned = sum(target.unplanned for target in live)
    dead = sum(target.dead for target in targets)
    state = _state(pending + unplanned, dead + len(blocked), result)
    is_over = state in NOTHING_LEFT
    return DestinationSummary(
        *key,
        state=state,
        delivered=result.delivered,
        pending=pending,
        unplanned=unplanned,
        dead=dead,
        blocked=len(blocked),
        waiting=sum(target.pending + target.unplanned for target in blocked),
        error=None if is_over else str(result.closed or result.error or "") or _last_error(live),
        next_attempt_at=None if is_over else result.next_attempt_at,
        dead_letters=tuple(letter for target in targets for letter in target.dead_letters),
        models=tuple(dict.fromkeys(pages[run] for run in result.runs if pages.get(run))),
        made=result.made,
        bytes=result.bytes,
        held=() if is_over else result.held,
    )


def _state(remaining: int, refused: int, result: DestinationResult) -> State:
    if not remaining:
        return "refused in part" if refused else "up to date"
    if result.closed is not None:
        return _why_closed(result.closed)
    return "unreachable" if result.is_unreachable else "work remains"


def _why_closed(reason: UploaderError) -> State:
    if isinstance(reason, KeyNotForHere):
        return "paused: no key for it here"
    if isinstance(reason, NoAddress):
        return "paused: its address is not known"
    if isinstance(reason, NoKey):
        return "no key"
    return "credentials refused" if isinstance(reason, CredentialsRefused) else "not supported"


def _last_error(targets: Sequence[TargetReport]) -> str | None:
    return next((target.last_error for target in targets if target.pending and target.last_error), None)
