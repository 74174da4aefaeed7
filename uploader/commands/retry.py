"""`uploader retry`: send dead letters again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.run_completion import RunName
from uploader.commands.selection import Letters, named_letters


@click.command(cls=Acting, epilog=epilog("status", "retry 12 15", "retry train-3", "retry --all"))
@click.argument("which", metavar="[ID|RUN]...", nargs=-1, type=RunName())
@click.option("--all", "everything", is_flag=True, help="All dead letters, and all runs that were refused as a whole.")
@journal_or_url_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(which: tuple[str, ...], everything: bool, journal: Path | None, as_json: bool) -> None:
    """Send dead letters again, once the cause of the refusal is removed.

    `status` lists their IDs and the reasons. RUN, a run's name or the beginning of its id, stands for all dead letters
    of that run; naming it also lifts a refusal of the run as a whole. The next drain delivers them under the same chunk
    ids, leaving out those that a newer delivery has superseded. A checkpoint that the journal no longer has is read
    again from the run's folder, if the file there is unchanged.
    """
    from uploader.run_folder.model_file import CHECKPOINTS

    if everything == bool(which):
        raise click.UsageError("give the IDs of dead letters, or runs, or --all")
    with opened_journal(journal, "retry", as_json=as_json, may_be_none=everything) as opened:
        letters = Letters((), ()) if everything else named_letters(opened, which)
        chosen = None if everything else letters.ids
        retaken = opened.retake(CHECKPOINTS, chosen)
        retried = opened.retry(chosen, letters.runs)
    text = f"{count(retried.letters, 'dead letter')} for the next drain to deliver"
    text += f"; {retried.replaced} superseded by newer deliveries" if retried.replaced else ""
    text += f"; {count(retried.runs, 'run')} that had been refused as a whole may go on" if retried.runs else ""
    text += f"; {count(retaken, 'checkpoint')} taken from the run's folder again" if retaken else ""
    numbers = {"retried": retried.letters, "replaced": retried.replaced, "unblocked": retried.runs, "retaken": retaken}
    click.echo(json.dumps(numbers) if as_json else text)
