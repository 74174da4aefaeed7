"""`uploader prune`: make room by taking out what has arrived."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from journal.wording import count
from uploader.commands.dialogue import ask, require_yes
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_option

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _age(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """Return a length of time such as 12h or 30d."""
    from journal.clock import utc_now

    found = re.fullmatch(r"(\d+)([smhdw])", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no age; give a number and one of s, m, h, d, w, e.g. 30d", ctx, param)
    try:
        age = timedelta(**{_UNITS[found[2]]: int(found[1])})
        utc_now() - age
    except OverflowError:
        raise click.BadParameter(f"{value!r} is longer ago than the calendar goes", ctx, param) from None
    return age


@click.command()
@click.option(
    "--older-than", callback=_age, metavar="AGE", default="0s", help="Only runs that ended so long ago: 12h, 30d."
)
@click.option(
    "--given-up", is_flag=True, help="Also runs that `drop --to` gave up everywhere: what never arrived is lost."
)
@click.option("--yes", is_flag=True, help="With --given-up: do it without asking.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prune(*, older_than: timedelta, given_up: bool, yes: bool, journal: Path | None, as_json: bool) -> None:
    """Take out the events and checkpoints of runs that have arrived whole, everywhere they go.

    Runs with anything pending or dead, runs that were given up everywhere, and runs that are being trained, are left
    alone. A pruned run can still be resumed: the journal keeps what the platform called it.
    """
    from journal.clock import utc_now

    if given_up:
        require_yes("prune", yes=yes, as_json=as_json)
        ask("Delete runs that were given up, with all that never arrived?", yes=yes)
    with opened_journal(journal, "prune", as_json=as_json) as opened:
        pruned = opened.prune(utc_now() - older_than, given_up=given_up)
    what = f"{count(pruned.events, 'event')}, {count(pruned.blobs, 'checkpoint')} ({count(pruned.bytes, 'byte')})"
    text = f"{count(pruned.runs, 'run')} pruned: {what}"
    click.echo(json.dumps(asdict(pruned)) if as_json else text)
