"""`uploader retry`: give dead letters another life."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from uploader.commands.shared import journal_option, opened_journal


@click.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(ids: tuple[int, ...], everything: bool, journal: Path | None, as_json: bool) -> None:
    """Give dead letters another life, after what the platform refused was put right.

    The view dead_letters of the journal lists their IDs and the reasons. Runs that were blocked by them go on. The
    next drain delivers them, under the same chunk ids.
    """
    if everything == bool(ids):
        raise click.UsageError("give the IDs of dead letters, or --all")
    with opened_journal(journal, "retry") as opened, closing(opened.outbox()) as outbox:
        count = outbox.revive(None if everything else ids)
    click.echo(json.dumps({"retried": count}) if as_json else f"{count} dead letters go out with the next drain")
