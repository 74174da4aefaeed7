"""`uploader mirror --forget`: delete runs from a mirror, after saying what goes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.quantities import count, readable
from uploader.commands.dialogue import USAGE, ask, fail
from uploader.commands.journal_access import journal_errors
from uploader.commands.mirror_option import counter, opened_mirror

if TYPE_CHECKING:
    from journal.mirror.forgetting import Doomed, MirroredRun

_FRESH_SECONDS = 3600.0
_SHOWN = 5


def forget(address: str, names: Sequence[str], *, yes: bool, as_json: bool) -> None:
    """Delete runs from a mirror.

    Args:
        address: The mirror's.
        names: What a person named: names of runs, or beginnings of their ids.
        yes: Whether to do it without asking.
        as_json: Whether to print one JSON object.
    """
    from journal.mirror import forgetting

    store = opened_mirror(address, "mirror", as_json=as_json)
    between = counter("objects", as_json=as_json)
    with journal_errors("mirror", as_json=as_json):
        every = forgetting.read_runs(store, between)
        going = forgetting.doomed(store, every, _chosen(every, names, address, as_json=as_json))
        if not yes:
            click.echo("\n".join(_lines(going)), err=True)
        ask(f"Delete {_in_all(going)} from {address} for good?", yes=yes)
        forgetting.forget(store, going, between)
    numbers = {"exit_code": 0, "forgotten": [one.run.id for one in going.runs], "bytes": going.bytes}
    click.echo(json.dumps(numbers) if as_json else f"Deleted {_in_all(going)} from {address}.")


def _chosen(every: Sequence[MirroredRun], names: Sequence[str], address: str, *, as_json: bool) -> Sequence[str]:
    from uploader.errors import SettingsError
    from uploader.run_selection import choose_runs, full_name

    runs = [one.run for one in every]
    try:
        return choose_runs(runs, names, Path(address)) or ()
    except SettingsError as error:
        there = ", ".join(f"{run.id} ({full_name(run)})" for run in runs[:_SHOWN]) or "no runs"
        more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
        why = str(error).partition(";")[0]
        fail(f"{why}; in {address} there are {there}{more}", "mirror", USAGE, as_json=as_json)


def _lines(going: Doomed) -> list[str]:
    from uploader.run_selection import full_name

    lines = []
    for one in going.runs:
        age = time.time() - one.written_at
        fresh = f"; added to {round(age)} s ago: a training that goes on with it brings it back"
        lines.append(
            f"{full_name(one.run)} ({one.run.id}): {count(one.events, 'event')}"
            f"{fresh if 0 <= age < _FRESH_SECONDS else ''}"
        )
    return lines


def _in_all(going: Doomed) -> str:
    return (
        f"{count(len(going.runs), 'run')} and {count(len(going.checkpoints), 'checkpoint')} that "
        f"{'it' if len(going.runs) == 1 else 'they'} alone {'has' if len(going.runs) == 1 else 'have'} "
        f"({readable(going.bytes)})"
    )
