"""`uploader restore`: bring back from a mirror what a journal has lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.next_steps import next_command
from journal.quantities import count, epoch_in_words, readable
from uploader.commands.acting import Acting
from uploader.commands.folders import Folder
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors
from uploader.commands.journal_option import journal_option
from uploader.commands.mirror_option import DAMAGED, counter, mirror_argument, opened_mirror

if TYPE_CHECKING:
    from journal import Journal
    from journal.checkpoints.checkpoint_copies import CheckpointCopy
    from journal.mirror.restoring import Restored

_CODES = """
  0  everything that the mirror has is in the journal
  1  the mirror or the journal cannot be used; the message says why
  2  the arguments cannot be used
  4  something of the mirror is damaged or missing; all else was restored
"""


@click.command(
    cls=Acting,
    epilog=epilog(
        "restore /content/drive/MyDrive/mirror",
        "restore /mnt/mirror --journal journal",
        "restore s3://bucket/trainings --weights runs",
        codes=_CODES,
    ),
)
@mirror_argument
@click.option(
    "--weights",
    type=Folder(),
    metavar="DIR",
    help="Also write each run's newest checkpoints into DIR/RUN/weights, to resume its training from.",
)
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(address: str, weights: Path | None, journal: Path | None, as_json: bool) -> None:
    """Bring back from a mirror what the journal does not have: runs, events and checkpoints.

    MIRROR is the folder that attach(mirror=...) was given. The journal is created if there is none. What it has already
    stays, so restoring can be repeated, and done from several mirrors.

    If the run's own folder is lost as well, --weights writes last.pt and best.pt: a training that is resumed from them
    with the same journal or mirror continues the run.
    """
    store = opened_mirror(address, "restore", as_json=as_json)
    with journal_errors("restore", as_json=as_json):
        from journal.mirror.restoring import restore as restore_from
        from journal.opening import open_with_room

        with open_with_room(journal) as opened:
            restored = restore_from(opened, store, between=counter("objects", as_json=as_json))
            folder = opened.path
            copies = _copies(opened, restored.runs, weights) if weights else []
    code = DAMAGED if restored.troubles else 0
    click.echo(
        json.dumps({"exit_code": code, "journal": str(folder), **_values(restored), "weights": _files(copies)})
        if as_json
        else _as_text(restored, folder, copies)
    )
    sys.exit(code)


def _copies(opened: Journal, runs: Sequence[str], folder: Path) -> list[CheckpointCopy]:
    from journal.checkpoints.checkpoint_copies import write_copies

    with opened.begin(read_only=True) as connection:
        return list(write_copies(connection, opened.local_blobs, runs, folder))


def _files(copies: Sequence[CheckpointCopy]) -> list[str]:
    return [str(one.path) for one in copies]


def _values(restored: Restored) -> dict[str, Any]:
    values = asdict(restored)
    del values["results"], values["left"], values["unreadable"]
    return values


def _as_text(restored: Restored, folder: Path, copies: Sequence[CheckpointCopy]) -> str:
    new = f"{count(restored.events, 'event')} and {count(restored.checkpoints, 'checkpoint')}"
    lines = [
        f"{count(len(restored.runs), 'run')} in the mirror; new in {folder}: {new} ({readable(restored.bytes)})",
        *restored.troubles,
        *(f"{one.path}: run {one.run}, saved after {epoch_in_words(one.epoch) or 'an epoch'}" for one in copies),
        f"`{next_command('drain', folder)}` delivers what has not arrived yet",
    ]
    return "\n".join(lines)
