"""Several drains at once, one for each journal: each in a thread of its own, started and joined here.

Journals may hold the same run, as a journal and its copy do. At once, these would make a model of the run each, on a
platform that need not know a registration that is repeated. So they are drained one after the other, and each learns
from the others first what has become of their common runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Thread

from journal.errors import JournalError
from uploader.delivery.drain import Drain
from uploader.delivery.summary import Summary
from uploader.errors import SettingsError, UploaderError

Result = Summary | UploaderError | JournalError
_LOG = logging.getLogger("uploader")


def run_together(drains: Sequence[Drain], *, watch: bool = False) -> list[Result]:
    """Run drains to their ends; return what each came to, or what ended it. A single one needs no thread.

    Args:
        drains: One for each journal.
        watch: Whether they end only when they are told to: then all are run at once, but of journals that hold the same
            run, which no platform has accepted yet, only the first.
    """
    if len(drains) == 1:
        return [_run(drains[0])]
    groups = sharing(_unknown(drains) if watch else [drain.runs for drain in drains])
    results: dict[int, Result] = {}
    if watch:
        results |= {index: _left_out(drains[index], drains[group[0]]) for group in groups for index in group[1:]}
        groups = [group[:1] for group in groups]

    def work(group: Sequence[int]) -> None:
        own = [drains[index] for index in group]
        for index in group:
            _learn(drains[index], own)
            results[index] = _run(drains[index])

    _in_threads(work, groups)
    return [results[index] for index in range(len(drains))]


def _in_threads(work: Callable[[Sequence[int]], None], groups: Sequence[Sequence[int]]) -> None:
    threads = [Thread(target=work, args=(group,), name=f"drain-{group[0]}") for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _unknown(drains: Sequence[Drain]) -> list[frozenset[str]]:
    """Have all learn from each other; return for each its runs that no platform has accepted from any of them."""
    for drain in drains:
        _learn(drain, drains)
    known = frozenset[str]().union(*(drain.registered for drain in drains))
    return [drain.runs - known for drain in drains]


def sharing(held: Sequence[frozenset[str]]) -> list[list[int]]:
    """Return journals, by their places, in groups that have no runs in common with each other. Pure.

    Args:
        held: The runs of each journal.
    """
    groups: list[tuple[list[int], frozenset[str]]] = []
    for index, runs in enumerate(held):
        same = [group for group in groups if group[1] & runs]
        groups = [group for group in groups if group not in same]
        places = sorted([index, *(place for own, _ in same for place in own)])
        groups.append((places, runs.union(*(own for _, own in same))))
    return sorted(places for places, _ in groups)


def _learn(drain: Drain, others: Sequence[Drain]) -> None:
    """Have a drain learn from others, none of which is running, what has become of the runs that they share."""
    for other in others:
        if other is not drain and (shared := drain.runs & other.runs):
            try:
                drain.learn(other.known(shared))
            except JournalError as error:
                _LOG.warning("What has become of its runs cannot be read from %s: %s", other.journal, error)


def _left_out(drain: Drain, first: Drain) -> SettingsError:
    error = SettingsError(
        f"{drain.journal} holds a run that {first.journal} holds as well: watched at once, each would make a model of "
        f"it. Only {first.journal} is drained; bring the two into one with `unpack`, or drain them once without --watch"
    )
    _LOG.warning("%s", error)
    return error


def _run(drain: Drain) -> Result:
    try:
        return drain.run()
    except (UploaderError, JournalError) as error:
        return error
