"""What a person types next, in messages that name the next step.

Errors name it wherever they are raised, also in a script that imports this package alone. So the names of commands are
known here, though no command is; a test compares each that is named with those that there are.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from journal.disk import why_no_files
from journal.errors import PROGRAM
from journal.locations import is_default_elsewhere, is_there
from journal.shared_addresses import shared_url, without_password


def drain_at(place: str) -> str:
    """Return in words how a journal is drained.

    Args:
        place: Its folder, after a machine's name and a colon where it is another machine's; or its URL.
    """
    is_usable_here = Path(place).is_absolute() or shared_url(place)
    return f"`{next_command('drain', Path(place))}`" if is_usable_here else f"a drain on {place}"


def intake_at(place: str) -> str:
    """Return in words what takes in the fallback files of a journal: its own drain; another one, if it cannot be made.

    Args:
        place: As for `drain_at`.
    """
    folder = Path(place)
    if not folder.is_absolute() or is_there(folder) or not why_no_files(folder):
        return drain_at(place)
    into = " --into FOLDER" if is_default_elsewhere(folder) else ""
    return f"`{PROGRAM} unpack {shlex.quote(place)}{into}`"


def collect_command(journal: Path, into: str) -> str:
    """Return the command that brings a journal into a shared one.

    Args:
        journal: The folder.
        into: The URL of the shared one, without a password.
    """
    return f"{PROGRAM} collect {shlex.quote(str(journal))} --into {shlex.quote(into)}"


def next_command(arguments: str, journal: Path) -> str:
    """Return what a person types to have a command work on a journal.

    Args:
        arguments: The command and its own options: `drain --watch`.
        journal: The folder, or what stands for a URL. It is named where the command would take another one.
    """
    command = f"{PROGRAM} {arguments}"
    place = without_password(url) if (url := shared_url(journal)) else str(journal.absolute())
    return command if is_default_elsewhere(journal) else f"{command} --journal {shlex.quote(place)}"
