"""Numbers and commands as people read them."""

from __future__ import annotations

import shlex
from pathlib import Path

from journal.locations import default_journal


def count(number: int, noun: str) -> str:
    """Return a number of things in words: `1 run`, `2 runs`, `3 deliveries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def drain_at(place: str) -> str:
    """Return in words how a journal is drained.

    Args:
        place: Its folder, after a machine's name and a colon where it is another machine's.
    """
    return f"`{next_command('drain', Path(place))}`" if Path(place).is_absolute() else f"a drain on {place}"


def next_command(arguments: str, journal: Path) -> str:
    """Return what a person types to have a command work on a journal.

    Args:
        arguments: The command and its own options: `drain --watch`.
        journal: The folder. It is named where the command would take another one.
    """
    command = f"python -m uploader {arguments}"
    return command if journal == default_journal() else f"{command} --journal {shlex.quote(str(journal.absolute()))}"
