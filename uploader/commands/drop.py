"""`uploader drop`: give up dead letters for good."""

from __future__ import annotations

import json
from pathlib import Path

import click

from uploader.commands.shared import journal_option, opened_journal


@click.command()
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def drop(ids: tuple[int, ...], yes: bool, journal: Path | None, as_json: bool) -> None:
    """Give up dead letters for good: they are not delivered, and no longer count as work.

    The view dead_letters of the journal lists their IDs. Their rows stay in the journal, as dropped.
    """
    if not yes:
        click.confirm(f"Give up {len(ids)} deliveries for good?", abort=True)
    with opened_journal(journal, "drop") as opened:
        count = opened.drop(ids)
    click.echo(json.dumps({"dropped": count}) if as_json else f"{count} dead letters were given up")
