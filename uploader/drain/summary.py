"""What a drain came to, in numbers and as an exit code. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from journal.report import RunReport, TargetReport
from uploader.errors import CredentialsRefused, UploaderError

ALL_DELIVERED, WORK_REMAINS, DEAD_LETTERS, CREDENTIALS_REFUSED = 0, 3, 4, 5

State = Literal["up to date", "work remains", "unreachable", "credentials refused", "not supported"]


@dataclass(frozen=True)
class Ending:
    """How a drain left one destination.

    Attributes:
        delivered: Deliveries made by this drain.
        closed: Why nothing more was sent, else None.
        error: Why the host could not be used, else None.
        given_up: Whether the host was found unreachable.
        next_attempt_at: When the next attempt makes sense, ISO, else None.
    """

    delivered: int = 0
    closed: UploaderError | None = None
    error: str | None = None
    given_up: bool = False
    next_attempt_at: str | None = None


@dataclass(frozen=True)
class DestinationSummary:
    """One destination at the end of a drain, as far as the chosen runs go.

    Attributes:
        platform: Name of the platform's API.
        url: Its base URL.
        state: In a word.
        delivered: Deliveries made by this drain.
        pending: Deliveries still to be made.
        unplanned: Events that no delivery was made for yet.
        dead: Dead letters, also from earlier drains.
        blocked: Runs that the platform refuses as a whole.
        error: What is in the way, else None.
        next_attempt_at: When the next attempt makes sense, ISO, else None.
    """

    platform: str
    url: str
    state: State
    delivered: int
    pending: int
    unplanned: int
    dead: int
    blocked: int
    error: str | None
    next_attempt_at: str | None


@dataclass(frozen=True)
class Summary:
    """A whole drain.

    Attributes:
        destinations: One for each destination of the chosen runs.
        seconds: How long it took.
        interrupted: Whether it was told to stop.
    """

    destinations: tuple[DestinationSummary, ...]
    seconds: float
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """The process's exit code: refused credentials before remaining work before dead letters."""
        if any(one.state == "credentials refused" for one in self.destinations):
            return CREDENTIALS_REFUSED
        if any(one.state != "up to date" for one in self.destinations):
            return WORK_REMAINS
        return DEAD_LETTERS if any(one.dead for one in self.destinations) else ALL_DELIVERED


def summarize(
    runs: Sequence[RunReport], endings: Mapping[tuple[str, str], Ending], *, seconds: float, interrupted: bool
) -> Summary:
    """Put together what the journal says and what the drain saw.

    Args:
        runs: Reports of the chosen runs.
        endings: By platform and base URL.
        seconds: How long it took.
        interrupted: Whether it was told to stop.
    """
    targets: dict[tuple[str, str], list[TargetReport]] = {}
    for run in runs:
        for target in run.targets:
            targets.setdefault((target.platform, target.base_url), []).append(target)
    ended = (_destination(place, each, endings.get(place, Ending())) for place, each in targets.items())
    return Summary(tuple(ended), seconds, interrupted)


def _destination(place: tuple[str, str], targets: Sequence[TargetReport], ending: Ending) -> DestinationSummary:
    # What a platform refuses as a whole is told by its dead letter; waiting for it would never end.
    live = [target for target in targets if target.state != "blocked"]
    pending = sum(target.pending for target in live)
    unplanned = sum(target.unplanned for target in live)
    state = _state(pending + unplanned, ending)
    return DestinationSummary(
        *place,
        state=state,
        delivered=ending.delivered,
        pending=pending,
        unplanned=unplanned,
        dead=sum(target.dead for target in targets),
        blocked=len(targets) - len(live),
        error=None if state == "up to date" else str(ending.closed or ending.error or "") or _last_error(live),
        next_attempt_at=None if state == "up to date" else ending.next_attempt_at,
    )


def _state(remaining: int, ending: Ending) -> State:
    if not remaining:
        return "up to date"
    if isinstance(ending.closed, CredentialsRefused):
        return "credentials refused"
    if ending.closed is not None:
        return "not supported"
    return "unreachable" if ending.given_up else "work remains"


def _last_error(targets: Sequence[TargetReport]) -> str | None:
    return next((target.last_error for target in targets if target.pending and target.last_error), None)
