"""`uploader retry`: give dead letters another life."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from journal.wording import count
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_option
from uploader.commands.selection import Letters, named_letters


@click.command()
@click.argument("which", metavar="[ID|RUN]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters, and all runs that were refused as a whole.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(which: tuple[str, ...], everything: bool, journal: Path | None, as_json: bool) -> None:
    """Give dead letters another life, after what the platform refused was put right.

    `status` lists their IDs and the reasons; a RUN, by its name or the beginning of its id, stands for all of its. Runs
    that were refused as a whole go on with them, and one that is named, or each with --all, also without a dead letter.
    The next drain delivers them, under the same chunk ids; one that a newer delivery has replaced, as when the run was
    resumed, it leaves out. Checkpoints that are gone from the journal are taken from the run's folder again, if they
    are there unchanged.
    """
    if everything == bool(which):
        raise click.UsageError("give the IDs of dead letters, or runs, or --all")
    with opened_journal(journal, "retry", as_json=as_json) as opened, closing(opened.outbox()) as outbox:
        letters = Letters((), ()) if everything else named_letters(opened, which)
        chosen = None if everything else letters.ids
        retaken = opened.retake(chosen)
        revived = outbox.revive(chosen, letters.runs)
    text = f"{count(revived.letters, 'dead letter')} for the next drain to deliver"
    text += f"; {revived.replaced} given up for what is newer" if revived.replaced else ""
    text += f"; {count(revived.runs, 'run')} that had been refused as a whole may go on" if revived.runs else ""
    text += f"; {count(retaken, 'checkpoint')} taken from the run's folder again" if retaken else ""
    numbers = {"retried": revived.letters, "replaced": revived.replaced, "unblocked": revived.runs, "retaken": retaken}
    click.echo(json.dumps(numbers) if as_json else text)
