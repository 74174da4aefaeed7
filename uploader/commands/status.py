"""`uploader status`: what the journal holds, and what has arrived of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.mirror.mirror_state import states
from uploader.commands.dialogue import JOURNAL_UNUSABLE
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors, require_journal
from uploader.commands.journal_option import journals_argument, journals_option
from uploader.commands.phrases import what_else
from uploader.commands.status_text import as_text, epochs_of

if TYPE_CHECKING:
    from journal.read_only import View


@click.command(epilog=epilog("status", "status --json", "status runs/journal", "status nodes/*/journal"))
@journals_argument
@journals_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list of them for several journals.")
def status(journals: tuple[Path, ...], as_json: bool) -> None:
    """Show the journal's runs, and what is delivered, pending or refused of each.

    For each platform that a run goes to, status says what is in the way and which command helps. It only reads, so it
    is safe beside a training and a drain.
    """
    if len(journals) > 1:
        _show_several(journals, as_json=as_json)
        return
    folder = journals[0] if journals else None
    require_journal(folder, "status", as_json=as_json)
    with journal_errors("status", as_json=as_json):
        view = _read_journal(folder)
    limit = _limit()
    click.echo(json.dumps(_values(view, limit)) if as_json else as_text(view, limit))


def _show_several(folders: Sequence[Path], *, as_json: bool) -> None:
    """Show several journals; one that cannot be read stops no other, and is the command's exit code."""
    limit = _limit()
    read = [(folder, _read(folder)) for folder in folders]
    if as_json:
        shown = [
            {"journal": str(folder), "error": one} if isinstance(one, str) else _values(one, limit)
            for folder, one in read
        ]
        click.echo(json.dumps(shown))
    else:
        texts = (f"journal {folder}: {one}" if isinstance(one, str) else as_text(one, limit) for folder, one in read)
        click.echo("\n\n".join(texts))
    if any(isinstance(one, str) for _, one in read):
        sys.exit(JOURNAL_UNUSABLE)


def _read(folder: Path) -> View | str:
    """Return what a journal holds, or why it cannot be read."""
    from journal.errors import JournalError
    from journal.reading.places import what_is

    if what_is(folder) != "journal":
        return f"there is no journal; {what_else(folder)}"
    try:
        return _read_journal(folder)
    except JournalError as error:
        return str(error)


def _read_journal(folder: Path | None) -> View:
    """Read a journal; what that needs is imported for it alone."""
    from journal import read_only
    from uploader.run_folder.results_file import record_of

    return read_only.read_journal(folder, record_of)


def _limit() -> int | None:
    """Return the journal's size limit in bytes; None, with a message, when the setting cannot be read."""
    from journal.errors import JournalError
    from journal.locations import default_max_size

    try:
        return default_max_size()
    except JournalError as error:
        click.echo(f"uploader status: {error}", err=True)
        return None


def _values(view: View, limit: int | None) -> dict[str, Any]:
    sizes = {"bytes": view.bytes, "max_bytes": limit}
    drain = asdict(view.drain) if view.drain else None
    beside = {"drain": drain, "fallbacks": view.fallbacks, "fallbacks_elsewhere": view.fallbacks_elsewhere}
    mirrors = states(view.path)
    runs = [
        {**asdict(run), **epochs_of(run, view), "mirrors": [asdict(one) for one in mirrors.get(run.id, ())]}
        for run in view.runs
    ]
    return {"journal": str(view.path), **sizes, **beside, "runs": runs}
