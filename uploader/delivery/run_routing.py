"""Where the runs that a drain works on go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from journal.outbox.outbox import Outbox
from journal.records import Run
from uploader.errors import NoKey, SettingsError
from uploader.keys import no_key_at_all
from uploader.settings import Settings

_LOG = logging.getLogger("uploader")


def route(
    outbox: Outbox,
    run_ids: Sequence[str] | None,
    *,
    to: tuple[str, str] | None,
    settings: Settings,
) -> list[tuple[str, int]]:
    """Give every chosen run a destination; return which runs are bound anew to `to`, by their ids.

    `to` is added to the destinations that the environment names. Runs that have none yet get the environment's first:
    once a run has a destination, later drains add no defaults. A key alone names no address: it may be the key for
    `to`, and what was meant for that address must not reach the public platform.

    Args:
        outbox: The journal's.
        run_ids: The chosen runs; None for all.
        to: Name of the API and base URL of one more destination for each of them, or None. One that was dropped is
            restored.
        settings: Where those go that go nowhere yet, or chose a platform by its name.

    Raises:
        NoKey: Runs go nowhere yet and there are no defaults, because no key and no address is set.
        SettingsError: None of the chosen runs can be delivered whole to one more destination, as they were pruned.
    """
    bound: list[tuple[str, int]] = []
    if to is not None:
        _send(outbox, outbox.routes.unrouted_runs(run_ids), settings.chosen_routes)
        chosen = outbox.routes.runs() if run_ids is None else [run for run in outbox.routes.runs() if run.id in run_ids]
        bound = _send(outbox, _whole(outbox, chosen, *to), [to])
    _bind(outbox, run_ids, settings.address_of)
    unrouted = outbox.routes.unrouted_runs(run_ids)
    if unrouted and not settings.default_routes:
        raise NoKey(no_key_at_all(settings))
    _send(outbox, unrouted, settings.default_routes)
    return bound


def _whole(outbox: Outbox, runs: Sequence[Run], platform: str, url: str) -> list[Run]:
    """Return the runs that arrive whole at a platform, and say which do not: a part would look like all there was."""
    pruned = outbox.routes.pruned_runs(outbox.routes.add_destination(platform, url).id)
    left_out = [run for run in runs if run.id in pruned]
    if left_out:
        reasons = "; ".join(f"{run.name} ({run.id}) {_why_pruned(outbox, run)}" for run in left_out)
        message = f"{url} gets nothing of runs whose events were pruned: {reasons}"
        if len(left_out) == len(runs):
            raise SettingsError(message)
        _LOG.warning("%s", message)
    return [run for run in runs if run.id not in pruned]


def _why_pruned(outbox: Outbox, run: Run) -> str:
    destinations = [target.destination.base_url for target in outbox.routes.targets(run_ids=[run.id])]
    return f"after it had arrived at {' and '.join(destinations)}" if destinations else "after it had been given up"


def _bind(outbox: Outbox, run_ids: Sequence[str] | None, address_of: Callable[[str], str | None]) -> None:
    """Give platforms that were chosen by their names the addresses that are known here, for good."""
    for target in outbox.routes.targets(run_ids=run_ids):
        platform = target.destination.platform
        if not target.destination.base_url and (url := address_of(platform)):
            _send(outbox, [target.run], [(platform, url)])


def _send(outbox: Outbox, runs: Sequence[Run], routes: Sequence[tuple[str, str]]) -> list[tuple[str, int]]:
    """Route each run at once to all: one that goes somewhere already is not given the rest by the next drain.

    Return which runs did not go to which before, by their ids.
    """
    if not runs:
        return []
    destinations = [outbox.routes.add_destination(platform, url).id for platform, url in routes]
    known = {
        (one.run.id, one.destination.id)
        for one in outbox.routes.targets(run_ids=[run.id for run in runs], dropped=True)
    }
    for run in runs:
        outbox.routes.add(run.id, *destinations)
    return [(run.id, destination) for run in runs for destination in destinations if (run.id, destination) not in known]
