"""`uploader drop`: stop trying to deliver dead letters, or anything more to a destination."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.next_steps import next_command
from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.dialogue import ask, require_yes
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.phrases import place
from uploader.commands.run_completion import RunName
from uploader.commands.selection import named_destination, named_letters, named_runs, where_runs_go
from uploader.keys import address_options
from uploader.platforms.registry import DEFAULT, NAMES

if TYPE_CHECKING:
    from journal import Journal
    from journal.outbox.dropping import Dropped


_EPILOG = epilog("status", "drop 12 15", "drop train-3", "drop --to http://127.0.0.1:8765")


@click.command(cls=Acting, epilog=_EPILOG)
@click.argument("which", metavar="[ID|RUN]...", nargs=-1, type=RunName())
@click.option(
    "--to",
    metavar="URL",
    help="Drop everything that has not arrived at this platform; give its name if its address is not known.",
)
@click.option(
    "--platform", type=click.Choice(NAMES), help=f"What it speaks.  [default: {DEFAULT.name}, or as --to names]"
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    type=RunName(),
    help="With --to: only this run, by its name or the start of its id.",
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@journal_or_url_option
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
    """Drop dead letters, or everything that has not arrived at a platform that no longer exists.

    `status` lists the IDs. RUN, a run's name or the beginning of its id, stands for all dead letters of that run.
    What is dropped stays in the journal but no longer counts as work. Nothing more is planned for a dropped platform;
    `drain --to URL` resumes it, including what was dropped with it.
    """
    if bool(which) == bool(to) or (runs and not to):
        raise click.UsageError("give the IDs of dead letters, or runs; or --to URL, and maybe --run")
    destination = None if to is None else _destination(platform, to)
    require_yes("drop", yes=yes, as_json=as_json)
    with opened_journal(journal, "drop", as_json=as_json) as opened:
        if destination is None:
            numbers, text = _drop_letters(opened, which, yes=yes)
        else:
            numbers, text = _drop_destination(opened, *destination, runs, yes=yes)
    click.echo(json.dumps(numbers) if as_json else text)


def _destination(platform: str | None, to: str) -> tuple[str, str]:
    """Return platform and address of what `--to` names; the address is "" where that is a platform's name."""
    if to not in NAMES:
        return platform or DEFAULT.name, to
    if platform not in {None, to}:
        raise click.UsageError(f"--platform {platform} and --to {to} are two platforms")
    return to, ""


def _drop_letters(opened: Journal, which: Sequence[str], *, yes: bool) -> tuple[dict[str, Any], str]:
    letters = _letters(opened, which)
    ask(f"Drop {count(len(letters), 'dead letter')} for good?", yes=yes)
    number = opened.drop(letters)
    return {"dropped": number}, f"Dropped {count(number, 'dead letter')}."


def _letters(opened: Journal, which: Sequence[str]) -> tuple[int, ...]:
    from journal.errors import UnknownRow

    letters = named_letters(opened, which)
    if not letters.ids:
        raise UnknownRow("these runs have no dead letters; to drop what waits for a platform, use `drop --to URL`")
    return letters.ids


def _drop_destination(
    opened: Journal, platform: str, url: str, prefixes: Sequence[str], *, yes: bool
) -> tuple[dict[str, Any], str]:
    from journal.errors import UnknownRow

    destination_id = named_destination(opened, platform, url)
    chosen = named_runs(opened, prefixes) or None
    ask(f"Drop everything that has not arrived at {place(platform, url)}?", yes=yes)
    try:
        dropped = opened.drop_destination(destination_id, chosen)
    except UnknownRow as error:
        raise UnknownRow(f"{error}; {where_runs_go(opened)}") from error
    again = next_command(f"drain --to {address_options(platform, url or 'URL')}", opened.place)
    return asdict(dropped), _as_text(dropped, again)


def _as_text(dropped: Dropped, again: str) -> str:
    return (
        f"Dropped it for {count(dropped.runs, 'run')}, with {count(dropped.deliveries, 'delivery')} that had not "
        f"arrived. `{again}` resumes it."
    )
