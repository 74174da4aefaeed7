"""What several commands share: the journal option, and how a journal that cannot be used ends a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from journal import Journal

JOURNAL_UNUSABLE = 1
USAGE = 2

journal_option = click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UPLOADER_JOURNAL",
    show_envvar=True,
    help="Folder of the journal.  [default: a per-user data folder]",
)


@contextmanager
def opened_journal(folder: Path | None, command: str) -> Iterator[Journal]:
    """Open the journal for a command; when that, or the work with it, fails, say why and exit.

    Args:
        folder: The folder, None for the default.
        command: The command's name, for the message.
    """
    import journal
    from journal.errors import UnknownRow

    try:
        with journal.open(folder) as opened:
            yield opened
    except UnknownRow as error:
        click.echo(f"uploader {command}: {error}", err=True)
        sys.exit(USAGE)
    except journal.JournalError as error:
        click.echo(f"uploader {command}: {error}", err=True)
        sys.exit(JOURNAL_UNUSABLE)
