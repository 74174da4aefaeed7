"""What a shell completes in the place of a RUN: the names of the runs in the journal that the line names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uploader.commands.folders import refuse_shared

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class RunName(click.ParamType):  # type: ignore[type-arg]
    """What a person calls a run; no URL of a shared journal, which belongs to `--journal`."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        refuse_shared(value, param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what the word can be completed to."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in run_names(ctx, param, incomplete)]


def run_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Return the names that begin as typed: with their projects if any fits so, else without.

    Args:
        context: The command, and the journal that was named for it.
        parameter: The argument or option.
        typed: The beginning of the word.
    """
    del parameter
    from journal.errors import JournalError
    from uploader.reports.recorded_runs import open
    from uploader.run_selection import LATEST

    folder: Path | None = context.params.get("journal") or next(iter(context.params.get("journals") or ()), None)
    with suppress(JournalError):  # a key press is no place for a message
        runs = open(folder).runs()
        whole = [LATEST, *sorted({each.name for each in runs})]
        return _beginning(whole, typed) or _beginning(sorted({each.run.name for each in runs}), typed)
    return []


def _beginning(names: list[str], typed: str) -> list[str]:
    return [name for name in names if name.startswith(typed)]
