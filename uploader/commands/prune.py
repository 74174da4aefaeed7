"""`uploader prune`: free space by deleting what has arrived."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.quantities import count
from uploader.commands.dialogue import ask, require_yes
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_option
from uploader.commands.spans import age_given

if TYPE_CHECKING:
    from journal import Journal


def proven_runs(opened: Journal) -> set[str]:
    """Return the ids of the runs of which everything is proven at each of their destinations."""
    proven = {(one.run_id, one.destination_id) for one in opened.verifications() if one.is_proven}
    with closing(opened.outbox()) as outbox:
        targets = outbox.routes.targets()
    unproven = {one.run.id for one in targets if (one.run.id, one.destination.id) not in proven}
    return {one.run.id for one in targets} - unproven


@click.command(epilog=epilog("prune", "prune --older-than 30d", "prune --verified", "prune --given-up"))
@click.option(
    "--older-than",
    callback=age_given,
    metavar="AGE",
    default="0s",
    help="Only runs that ended at least so long ago: 12h, 30d.",
)
@click.option(
    "--given-up", is_flag=True, help="Also delete runs that `drop --to` dropped everywhere; what never arrived is lost."
)
@click.option(
    "--verified",
    is_flag=True,
    help="Only runs of which `verify` has proven everything, everywhere they go, with nothing changed since.",
)
@click.option("--yes", is_flag=True, help="With --given-up: do it without asking.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prune(
    *, older_than: timedelta, given_up: bool, verified: bool, yes: bool, journal: Path | None, as_json: bool
) -> None:
    """Delete the events and checkpoints of runs that have arrived completely, everywhere they go.

    Runs that are still training, runs with anything pending or dead, and runs that were dropped everywhere are kept. A
    pruned run can still be resumed: the journal keeps the platform's ids. To be able to prove it later, `prove` it
    before.
    """
    from journal.clock import utc_now

    if given_up and verified:
        raise click.UsageError(
            "--given-up deletes what never arrived, --verified only what is proven; give one of them"
        )
    if given_up:
        require_yes("prune", yes=yes, as_json=as_json)
        ask("Delete runs that were dropped, with everything of them that never arrived?", yes=yes)
    with opened_journal(journal, "prune", as_json=as_json) as opened:
        only = proven_runs(opened) if verified else None
        pruned = opened.prune(utc_now() - older_than, given_up=given_up, only=only)
    what = f"{count(pruned.events, 'event')}, {count(pruned.blobs, 'checkpoint')} ({count(pruned.bytes, 'byte')})"
    text = f"{count(pruned.runs, 'run')} pruned: {what}"
    click.echo(json.dumps(asdict(pruned)) if as_json else text)
