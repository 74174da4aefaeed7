"""Which runs a person means by an id, the beginning of one, a name, a folder, or the word `latest`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from journal.errors import UnknownRow
from journal.locations import expanded
from journal.next_steps import next_command
from uploader.addresses import shown
from uploader.errors import SettingsError
from uploader.slugs import project_slug, run_slug

LATEST = "latest"
"""Means the run that began last, unless one is called so."""
_SHOWN = 5
"""So many runs are listed where a name fits several."""


class UnknownRun(SettingsError, UnknownRow):
    """What a person named fits no run, or several: an argument that cannot be used, as the journal has no such row."""


class Run(Protocol):
    """What a person may know a run by."""

    @property
    def id(self) -> str:
        """Its uuid."""
        ...

    @property
    def project(self) -> str | None:
        """The project's slug, or None."""
        ...

    @property
    def name(self) -> str:
        """Its slug."""
        ...

    @property
    def save_dir(self) -> str:
        """Where it was trained."""
        ...

    @property
    def created_at(self) -> str:
        """When it began, ISO."""
        ...


def choose_runs(runs: Sequence[Run], names: Sequence[str], journal: Path) -> list[str] | None:
    """Return the ids of the runs that a person named.

    Args:
        runs: All runs.
        names: Each an id or its beginning, a name, `project/name`, the folder that the run was written to, or `latest`;
            none means all runs.
        journal: Their folder, for messages.

    Returns:
        The ids, or None for all, also those that come later.

    Raises:
        UnknownRun: One fits no run, or several.
    """
    return [_the_one(runs, name, journal) for name in names] or None


def _the_one(runs: Sequence[Run], name: str, journal: Path) -> str:
    found = _fitting(runs, name)
    if len(found) == 1:
        return found[0].id
    if not found:
        shown_name = shown(name) if "://" in name else name  # an address in the place of a run may hold a password
        similar = [full_name(run) for run in runs if name and _begins(run, name)]
        meant = f"; did you mean {' or '.join(similar[:_SHOWN])}?" if similar else ""
        raise UnknownRun(f"'{shown_name}' fits no run{meant}; `{next_command('status', journal)}` lists them")
    which = ", ".join(f"{run.id} ({full_name(run)})" for run in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise UnknownRun(f"'{name}' fits {len(found)} runs: {which}{more}; give the beginning of an id")


def _fitting(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the runs that a name may mean. Of a name it has to be the whole: `train-3` is not `train-30`."""
    exact = [run for run in runs if name in {run.id, run.name, full_name(run)}]
    if exact or not name:
        return exact
    if by_id := [run for run in runs if run.id.startswith(name)]:
        return by_id
    if name == LATEST:
        return [max(runs, key=lambda run: run.created_at)] if runs else []
    return _written_to(runs, name) or _named_as_typed(runs, name)


def _named_as_typed(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the runs of a name, or `project/name`, as a person gave it to the training: `my_run` is called `myrun`."""
    project, _, last = name.rpartition("/")
    is_slug = re.fullmatch("[a-z0-9/-]*", name)
    if is_slug or "/" in project or not any(character.isalnum() for character in last):
        return []
    called, of = run_slug(last), project_slug(project)
    return [run for run in runs if run.name == called and of in {None, run.project}]


def _written_to(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the run whose file a folder has, as it may have been moved; else those that were written to it."""
    from uploader.run_folder.run_file import KnownRun

    folder = expanded(name)
    known = KnownRun.read(folder)
    if known and (found := [run for run in runs if run.id == known.run]):
        return found
    try:
        folders = {str(folder), os.path.realpath(folder)}
    except ValueError:  # it has a character that no path has
        return []
    return [run for run in runs if run.save_dir in folders]


def _begins(run: Run, name: str) -> bool:
    return run.name.startswith(name) or full_name(run).startswith(name)


def full_name(run: Run) -> str:
    """Return a run's name with its project, if it has one."""
    return f"{run.project}/{run.name}" if run.project else run.name
