"""A journal's runs as lines of a list. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from journal.kinds import GOING_ON
from journal.reading.overview import RunOverview
from journal.reading.recorded_epochs import RecordedEpoch, trained_epochs
from journal.reading.run_gists import RunGist
from uploader.addresses import shown
from uploader.dashboard.columns import number, planned
from uploader.dashboard.shown import Number, RunLine
from uploader.reports.standing import is_wrong_there
from uploader.slugs import readable_run

_STATES = {"finished": "completed"}
"""As platforms call it."""


def run_line(run: RunOverview, gist: RunGist) -> RunLine:
    """Return a run as a line of the list."""
    newest = trained_epochs(gist.newest)[-1:]
    step = newest[0].epoch if newest and newest[0].is_step else None
    tags = gist.details.get("tags")
    return RunLine(
        key=run.id,
        name=readable_run(run.name, _arguments(gist.registration).get("name")),
        project=run.project,
        state=_STATES.get(run.state, run.state),
        trouble="; ".join(_troubles(run, gist)) or None,
        tags=[str(tag) for tag in tags] if isinstance(tags, list) else [],
        started_at=run.created_at,
        ended_at=None if run.state in GOING_ON else run.last_sign_at,
        heard_at=run.last_sign_at,
        seconds=run.seconds,
        epochs_done=_done(gist, newest),
        step=step,
        epochs_planned=planned(_planned(gist.registration.get("epochs")), step),
        metrics=_metrics(gist.end, newest[0] if newest else None),
        arguments=_arguments(gist.registration),
    )


def _troubles(run: RunOverview, gist: RunGist) -> Iterator[str]:
    """Yield what wants a person, the training's own trouble first."""
    if run.state == "failed":
        yield str(gist.end.get("error") or "the training failed")
    if run.state == "interrupted":
        yield "it was interrupted: it recorded no end"
    for one in run.targets.values():
        if one.dropped_at is not None:
            continue
        place = shown(one.base_url) if one.base_url else one.platform
        if one.state == "blocked":
            yield f"{place} refuses it: {one.reason or 'it does not say why'}"
        elif one.dead:
            yield f"{place} refused {one.dead} of its deliveries"
        elif one.obstacle and one.obstacle.wants_person:
            yield f"{place}: {one.obstacle.cause}"
        elif is_wrong_there(one):
            yield f"{place} does not have what was recorded, as reading it back has shown"


def _metrics(end: Mapping[str, Any], newest: RecordedEpoch | None) -> dict[str, Number]:
    """Return the metrics of a training's end over those of its newest epoch."""
    results = end.get("results")
    last = results.get("metrics") if isinstance(results, Mapping) else None
    told = {**(newest.metrics if newest else {}), **(last if isinstance(last, Mapping) else {})}
    return {str(name): number(value) for name, value in told.items() if number(value) is not None}


def _arguments(registration: Mapping[str, Any]) -> Mapping[str, Any]:
    told = registration.get("trainArgs")
    return told if isinstance(told, Mapping) else {}


def _done(gist: RunGist, newest: Sequence[RecordedEpoch]) -> int:
    if gist.epochs is not None:
        return gist.epochs
    return newest[0].epoch + 1 if newest else 0


def _planned(epochs: Any) -> int | None:
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) and epochs > 0 else None
