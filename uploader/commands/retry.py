"""`uploader retry`: give dead letters another life."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from journal.words import count
from uploader.commands.shared import journal_option, opened_journal


@click.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters, and all runs that were refused as a whole.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(ids: tuple[int, ...], everything: bool, journal: Path | None, as_json: bool) -> None:
    """Give dead letters another life, after what the platform refused was put right.

    The view dead_letters of the journal lists their IDs and the reasons. Runs that were refused as a whole go on with
    them, and with --all also those that have no dead letter left. The next drain delivers them, under the same chunk
    ids; one that a newer delivery has replaced, as when the run was resumed, it leaves out. Checkpoints that are gone
    from the journal are taken from the run's folder again, if they are there unchanged.
    """
    if everything == bool(ids):
        raise click.UsageError("give the IDs of dead letters, or --all")
    with opened_journal(journal, "retry", as_json=as_json) as opened, closing(opened.outbox()) as outbox:
        chosen = None if everything else ids
        retaken = opened.retake(chosen)
        revived = outbox.revive(chosen)
    text = f"{count(revived.letters, 'dead letter')} for the next drain to deliver"
    text += f"; {revived.replaced} given up for what is newer" if revived.replaced else ""
    text += f"; {count(revived.runs, 'run')} that had been refused as a whole may go on" if revived.runs else ""
    text += f"; {count(retaken, 'checkpoint')} taken from the run's folder again" if retaken else ""
    numbers = {"retried": revived.letters, "replaced": revived.replaced, "unblocked": revived.runs, "retaken": retaken}
    click.echo(json.dumps(numbers) if as_json else text)
