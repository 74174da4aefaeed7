"""`uploader restore`: bring back from a mirror what a journal has lost."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.next_steps import next_command
from journal.quantities import count, readable
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors
from uploader.commands.journal_option import journal_option
from uploader.commands.mirror_option import DAMAGED, counter, mirror_argument, opened_mirror

if TYPE_CHECKING:
    from journal.mirror.restoring import Restored

_CODES = """
  0  everything that the mirror has is in the journal
  1  the mirror or the journal cannot be used; the message says why
  2  the arguments cannot be used
  4  something of the mirror is damaged or missing; all else was restored
"""


@click.command(
    epilog=epilog("restore /content/drive/MyDrive/mirror", "restore /mnt/mirror --journal journal", codes=_CODES)
)
@mirror_argument
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(address: str, journal: Path | None, as_json: bool) -> None:
    """Bring back from a mirror what the journal does not have: runs, events and checkpoints.

    MIRROR is the folder that attach(mirror=...) was given. The journal is created if there is none. What it has already
    stays, so restoring can be repeated, and done from several mirrors.
    """
    store = opened_mirror(address, "restore", as_json=as_json)
    with journal_errors("restore", as_json=as_json):
        from journal.mirror.restoring import restore as restore_from
        from journal.opening import open_with_room

        with open_with_room(journal) as opened:
            restored = restore_from(opened, store, between=counter("objects", as_json=as_json))
            folder = opened.path
    code = DAMAGED if restored.damaged or restored.missing else 0
    click.echo(
        json.dumps({"exit_code": code, "journal": str(folder), **_values(restored)})
        if as_json
        else _as_text(restored, folder)
    )
    sys.exit(code)


def _values(restored: Restored) -> dict[str, Any]:
    values = asdict(restored)
    del values["results"]
    return values


def _as_text(restored: Restored, folder: Path) -> str:
    new = f"{count(restored.events, 'event')} and {count(restored.checkpoints, 'checkpoint')}"
    lines = [
        f"{count(len(restored.runs), 'run')} in the mirror; new in {folder}: {new} ({readable(restored.bytes)})",
        *restored.damaged,
        *(f"checkpoint {sha256} is not in the mirror, though a run needs it" for sha256 in restored.missing),
        f"`{next_command('drain', folder)}` delivers what has not arrived yet",
    ]
    return "\n".join(lines)
