"""`uploader drop`: give up dead letters, or a whole destination."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.wording import count, next_command
from uploader.addresses import is_same_place
from uploader.commands.dialogue import ask, require_yes
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_option
from uploader.commands.phrases import place
from uploader.commands.selection import named_letters, named_runs
from uploader.keys import address_options
from uploader.settings import PLATFORMS, ULTRALYTICS

if TYPE_CHECKING:
    from journal import Journal
    from journal.outbox.dropping import Dropped


@click.command()
@click.argument("which", metavar="[ID|RUN]...", nargs=-1)
@click.option(
    "--to",
    metavar="URL",
    help="Give up everything that has not arrived at this platform; its name, where no address is known.",
)
@click.option(
    "--platform", type=click.Choice(PLATFORMS), help=f"What it speaks.  [default: {ULTRALYTICS}, or as --to names]"
)
@click.option(
    "--run", "runs", multiple=True, metavar="RUN", help="With --to: only this run, by its name or the start of its id."
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def drop(
    *,
    which: tuple[str, ...],
    to: str | None,
    platform: str | None,
    runs: tuple[str, ...],
    yes: bool,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Give up dead letters for good, or all that has not arrived at a platform which is gone.

    `status` lists the IDs; a RUN, by its name or the beginning of its id, stands for all of its. What is given up no
    longer counts as work, and its rows stay in the journal, as dropped. Nothing more is planned for a platform that was
    given up; `drain --to URL` takes it up again, with what went with it.
    """
    if bool(which) == bool(to) or (runs and not to):
        raise click.UsageError("give the IDs of dead letters, or runs; or --to URL, and maybe --run")
    if to in PLATFORMS:  # chosen by its name, with no address yet
        if platform not in {None, to}:
            raise click.UsageError(f"--platform {platform} and --to {to} are two platforms")
        platform, to = to, ""
    platform = platform or ULTRALYTICS
    require_yes("drop", yes=yes, as_json=as_json)
    with opened_journal(journal, "drop", as_json=as_json) as opened:
        if to is None:
            letters = _letters(opened, which)
            ask(f"Give up {count(len(letters), 'dead letter')} for good?", yes=yes)
            dropped = opened.drop(letters)
            click.echo(json.dumps({"dropped": dropped}) if as_json else f"Gave up {count(dropped, 'dead letter')}.")
            return
        given_up = _drop_destination(opened, platform, to, runs, yes=yes)
        again = next_command(f"drain --to {address_options(platform, to or 'URL')}", opened.path)
    click.echo(json.dumps(asdict(given_up)) if as_json else _as_text(given_up, again))


def _letters(opened: Journal, which: Sequence[str]) -> tuple[int, ...]:
    from journal.errors import UnknownRow

    letters = named_letters(opened, which)
    if not letters.ids:
        raise UnknownRow("there are no dead letters of that; to give up what waits for a platform, `drop --to URL`")
    return letters.ids


def _drop_destination(opened: Journal, platform: str, to: str, prefixes: Sequence[str], *, yes: bool) -> Dropped:
    from contextlib import closing

    from journal.errors import UnknownRow

    with closing(opened.outbox()) as outbox:
        places = [one for one in outbox.destinations() if one.platform == platform]
    found = [one.id for one in places if one.base_url == to or is_same_place(one.base_url, to)]
    where = f"`{next_command('status', opened.path)}` lists where runs go"
    if not found:
        raise UnknownRow(f"nothing goes to {place(platform, to)}; {where}")
    chosen = named_runs(opened, prefixes) or None
    ask(f"Give up everything that has not arrived at {place(platform, to)}?", yes=yes)
    try:
        return opened.drop_destination(found[0], chosen)
    except UnknownRow as error:
        raise UnknownRow(f"{error}; {where}") from error


def _as_text(dropped: Dropped, again: str) -> str:
    return (
        f"Gave it up for {count(dropped.runs, 'run')}, with {count(dropped.deliveries, 'delivery')} that had not "
        f"arrived. `{again}` takes it up again."
    )
