"""Which runs a person means by an id, the beginning of one, or a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from journal.next_steps import next_command
from journal.records import Run
from uploader.addresses import shown
from uploader.errors import SettingsError

_SHOWN = 5
"""So many runs are listed where a name fits several."""


def choose_runs(runs: Sequence[Run], names: Sequence[str], journal: Path) -> list[str] | None:
    """Return the ids of the runs that a person named.

    Args:
        runs: All runs.
        names: Each an id or its beginning, a name, or `project/name`; none means all runs.
        journal: Their folder, for messages.

    Returns:
        The ids, or None for all, also those that come later.

    Raises:
        SettingsError: One fits no run, or several.
    """
    return [_the_one(runs, name, journal) for name in names] or None


def _the_one(runs: Sequence[Run], name: str, journal: Path) -> str:
    found = _fitting(runs, name)
    if len(found) == 1:
        return found[0].id
    if not found:
        shown_name = shown(name) if "://" in name else name  # an address in the place of a run may hold a password
        raise SettingsError(f"'{shown_name}' fits no run; `{next_command('status', journal)}` lists them")
    which = ", ".join(f"{run.id} ({full_name(run)})" for run in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise SettingsError(f"'{name}' fits {len(found)} runs: {which}{more}; give the beginning of an id")


def _fitting(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the runs that a name may mean: full names go before beginnings of ids, these before those of names."""
    by_name = [run for run in runs if name in {run.id, run.name, full_name(run)}]
    by_id = [run for run in runs if name and run.id.startswith(name)]
    return by_name or by_id or [run for run in runs if name and _begins(run, name)]


def _begins(run: Run, name: str) -> bool:
    return run.name.startswith(name) or full_name(run).startswith(name)


def full_name(run: Run) -> str:
    """Return a run's name with its project, if it has one."""
    return f"{run.project}/{run.name}" if run.project else run.name
