"""RUN on the command line of the commands that read one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uploader.commands.journal_access import journal_errors, require_journal
from uploader.commands.run_completion import RunName

if TYPE_CHECKING:
    from uploader.reports.recorded_runs import RecordedRun

run_argument = click.argument("run", metavar="[RUN]", default="latest", type=RunName())
INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells have it."""
RUN_IN_WORDS = (
    "RUN is a run's name, project/name, the beginning of its id, its folder, or latest, which is the default."
)


@contextmanager
def chosen_run(name: str, folder: Path | None, command: str, *, as_json: bool = False) -> Iterator[RecordedRun]:
    """Open a run to be read; end the command when there is none, or the journal cannot be read in the block.

    Args:
        name: What a person typed.
        folder: The journal that they named, None for the default.
        command: The command's name, for messages.
        as_json: Whether to print messages as JSON.
    """
    require_journal(folder, command, as_json=as_json)
    with journal_errors(command, as_json=as_json):
        from uploader.reports.recorded_runs import open

        yield open(folder).run(name)
