"""What `uploader status` says of each run in one line, and which runs come first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from journal.kinds import GOING_ON
from journal.quantities import readable
from uploader.addresses import shown
from uploader.commands.spans import age
from uploader.commands.terminal_text import one_line
from uploader.platforms.registry import DEFAULT, PLATFORMS
from uploader.reports.standing import Standing, is_kept_out, is_wrong_there, standing_of

if TYPE_CHECKING:
    from journal.reading.details import RunDetails
    from journal.reading.overview import RunOverview
    from journal.reading.remaining import Remaining


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        id: The run's uuid.
        name: With its project.
        standing: Where it belongs.
        state: Of its training.
        epochs: How many of how many were trained.
        metric: Name of the figure that says how good the model is, "" if there is none.
        value: That figure.
        seen: How long ago the training was heard of.
        delivery: What of it has arrived, or has not.
        platform: Where it goes.
        page: Where its model can be looked at, "" if that is not known.
    """

    id: str
    name: str
    standing: Standing
    state: str
    epochs: str
    metric: str
    value: str
    seen: str
    delivery: str
    platform: str
    page: str


def in_order(runs: Iterable[RunOverview]) -> list[RunOverview]:
    """Return runs, those first that want a person, and the newest of each kind."""
    newest = sorted(runs, key=lambda run: run.created_at, reverse=True)
    return sorted(newest, key=lambda run: standing_of(run.state, run.targets.values()))


def tally(runs: Iterable[RunOverview]) -> str:
    """Return how many runs stand how: `2 in trouble, 28 delivered`."""
    found = Counter(standing_of(run.state, run.targets.values()) for run in runs)
    return ", ".join(f"{found[one]} {one.in_words}" for one in Standing if found[one])


def row_of(run: RunOverview, details: RunDetails) -> Row:
    """Return the line of a run."""
    targets = [*run.targets.values()]
    metric = details.metric
    return Row(
        id=run.id,
        name=one_line(f"{run.project}/{run.name}" if run.project else run.name),
        standing=standing_of(run.state, targets),
        state=run.state,
        epochs=_epochs(run, details),
        metric=_short(metric.name) if metric else "",
        value=f"{metric.value:.4g}" if metric else "",
        seen=age(run.last_sign_at),
        delivery=_delivery(run.state, targets, details.unplanned_bytes, pruned=run.pruned),
        platform=_platforms(targets),
        page=_page(targets),
    )


def platform_name(platform: str, url: str) -> str:
    """Return a platform's name in few letters: the public one's title, or the machine that another one is on."""
    spec = next((one for one in PLATFORMS if one.name == platform), None)
    if not url or (spec and url == spec.default_url):
        return spec.title if spec else platform
    try:
        place = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        place = shown(url)
    return one_line(place) if platform == DEFAULT.name else f"{one_line(place)} ({platform})"


def _epochs(run: RunOverview, details: RunDetails) -> str:
    """Return how many of how many epochs were trained, as far as the journal still has them."""
    if run.pruned:
        return f"{details.epochs} here" if details.epochs else "pruned"
    return f"{details.epochs}/{details.planned_epochs}" if details.planned_epochs else f"{details.epochs}"


def _short(metric: str) -> str:
    """Return a metric's name without what tells its kind: `metrics/mAP50-95(B)` is mAP50-95."""
    return one_line(metric.rpartition("/")[2].partition("(")[0] or metric)


def _delivery(state: str, targets: Sequence[Remaining], unplanned_bytes: int, *, pruned: bool) -> str:
    live = [one for one in targets if one.dropped_at is None]
    if targets and not live:
        return "dropped"
    waiting, dead = sum(one.pending + one.unplanned for one in live), sum(one.dead for one in live)
    size = readable(sum(one.pending_bytes for one in live) + unplanned_bytes)
    parts = ["blocked"] if any(one.state == "blocked" for one in live) else []
    parts += [f"{dead} refused"] if dead else []
    parts += dict.fromkeys(one.obstacle.cause for one in live if one.obstacle and is_kept_out(one))
    parts += [f"{waiting} pending, {size}"] if waiting else []
    parts += [f"not sent, {size}"] if not targets else []
    parts += _differences(live)
    return ", ".join(parts) or _arrived(state, live, pruned=pruned)


def _differences(targets: Sequence[Remaining]) -> list[str]:
    """Return how many items are not there, or not as they were recorded, as far as that still holds."""
    found = [one.verification for one in targets if one.verification and is_wrong_there(one)]
    missing, different = sum(one.missing for one in found), sum(one.different for one in found)
    return [
        *([f"{missing} missing there"] if missing else []),
        *([f"{different} different there"] if different else []),
    ]


def _arrived(state: str, targets: Sequence[Remaining], *, pruned: bool) -> str:
    if state in GOING_ON:
        return "delivered so far"
    if standing_of(state, targets) is Standing.VERIFIED:
        return f"verified {age(min(one.verification.verified_at for one in targets if one.verification))} ago"
    return "delivered, pruned" if pruned else "delivered"


def _platforms(targets: Iterable[Remaining]) -> str:
    live = [platform_name(one.platform, one.base_url) for one in targets if one.dropped_at is None]
    return f"{live[0]} and {len(live) - 1} more" if len(live) > 1 else "".join(live)


def _page(targets: Iterable[Remaining]) -> str:
    """Return where a run's model is, of the first destination that has told it."""
    return next((one_line(shown(one.page)) for one in targets if one.page), "")
