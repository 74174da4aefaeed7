"""What the commands share that record what a person wants done on a platform."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uploader.commands.journal_access import journal_errors, require_journal

if TYPE_CHECKING:
    from uploader.intents import Wanted


def say_wanted(record: Callable[[], Wanted], command: str, journal: Path | None, done: str, *, as_json: bool) -> None:
    """Record what is wanted, and say so.

    Args:
        record: Records it.
        command: The command's name.
        journal: The folder that a person named, None for the default.
        done: What the next drain does, with `{}` for what is new, such as `sets {}`.
        as_json: Whether to print one JSON object.
    """
    from uploader.errors import SettingsError

    require_journal(journal, command, as_json=as_json)
    with journal_errors(command, as_json=as_json):
        try:
            wanted = record()
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
    click.echo(_as_json(wanted) if as_json else _as_text(wanted, done, journal))


def _as_text(wanted: Wanted, done: str, journal: Path | None) -> str:
    from journal.locations import default_journal
    from journal.next_steps import next_command
    from uploader.run_selection import full_name

    known = f"{', '.join(wanted.known)}: wanted already; nothing is done twice."
    if not wanted.new:
        return known
    drain = next_command("drain", journal or default_journal())
    text = (
        f"The next `{drain}` {done.format(', '.join(wanted.new))} of {full_name(wanted.run)}, once all of it is there."
    )
    return f"{text}\n{known}" if wanted.known else text


def _as_json(wanted: Wanted) -> str:
    return json.dumps({"run": wanted.run.id, "new": list(wanted.new), "known": list(wanted.known)})
