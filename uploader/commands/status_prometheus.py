"""`uploader status --prometheus`: gauges, for a collector to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.shared_addresses import told
from uploader.commands.dialogue import JOURNAL_UNUSABLE

if TYPE_CHECKING:
    from journal.read_only import Glance


def print_gauges(journals: Sequence[Path], limit: int | None) -> int:
    """Print the gauges of journals; return the exit code.

    Args:
        journals: Their folders.
        limit: The size limit, if that is known.
    """
    from uploader.reports.exposition import exposition
    from uploader.reports.journal_gauges import journal_gauges

    found = {told(place): _seen(place) for place in journals}
    click.echo(exposition(journal_gauges(found, limit)), nl=False)
    return JOURNAL_UNUSABLE if None in found.values() else 0


def _seen(place: Path) -> Glance | None:
    """Return what is there; None, with a message, where it cannot be read."""
    from journal.errors import JournalError
    from journal.read_only import glance

    try:
        return glance(place, lambda _: (), with_backlog=True)
    except JournalError as error:
        click.echo(f"uploader status: {error}", err=True)
        return None
