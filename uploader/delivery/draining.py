"""Draining a journal in code, `uploader.drain()`, and what that shares with the command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uploader.platforms.registry import DEFAULT
from uploader.settings import Settings

if TYPE_CHECKING:
    from uploader.delivery.drain import Drain
    from uploader.delivery.drain_options import DrainOptions
    from uploader.delivery.progress import Progress
    from uploader.delivery.summary import Summary


def drain(
    journal: str | os.PathLike[str] | None = None,
    *,
    runs: str | Sequence[str] = (),
    to: str | None = None,
    platform: str = DEFAULT.name,
    max_time: float | None = None,
    parallel: int = 16,
) -> Summary:
    """Deliver what a journal holds, until nothing more can be done now, as the command `drain` does.

    Args:
        journal: Its folder, or the URL of a shared one; by default `UPLOADER_JOURNAL`, else the one of this user's
            application data. Packs and mirrors are for the command.
        runs: One or several, each by its name, `project/name`, the beginning of its id, its folder, or `latest`; all
            by default.
        to: Deliver them to this platform as well; your key is sent to it.
        platform: The API of `to`.
        max_time: Keep trying for so many seconds.
        parallel: How many messages to send at once, for each platform.

    Returns:
        What it came to. `exit_code` is 0 when everything is delivered, else as the command's.

    Raises:
        NoJournal: There is none. It is not made, unless a training has left events for it in a fallback file.
        DrainLocked: Another drain works on this journal.
        UnknownRow: A name fits no run, or several.
        SettingsError: A setting, an address or a number cannot be used.
        NoKey: Runs go nowhere yet, and neither a key nor an address says where they are to go.
        JournalError: The journal cannot be used.
    """
    from uploader.delivery.drain_options import DrainOptions
    from uploader.delivery.run_mirrors import RunMirrors

    folder = _journal(journal)
    names = (runs,) if isinstance(runs, str) else tuple(runs)
    options = DrainOptions(runs=names, to=to, platform=platform, max_time=max_time, parallel=parallel)
    with ExitStack() as stack:
        opened = opened_drain(stack, folder, options)
        summary = opened.run()
        delivered = opened.runs
    RunMirrors(folder).tell_all(delivered)
    return summary


def _journal(named: str | os.PathLike[str] | None) -> Path:
    """Return the journal's folder, after a look whether there is one.

    Raises:
        NoJournal: There is none, and nothing waits for it.
    """
    from journal import locations
    from journal.errors import NoJournal
    from journal.reading.beside import is_awaited
    from journal.reading.places import what_else, what_is

    folder = locations.default_journal() if named is None else locations.expanded(named)
    if what_is(folder) != "journal" and not is_awaited(folder):
        raise NoJournal(f"there is no journal in {folder}; {what_else(folder)}")
    return folder


def opened_drain(
    stack: ExitStack,
    folder: Path | None,
    options: DrainOptions,
    *,
    progress: Progress | None = None,
    **others: Any,
) -> Drain:
    """Return a drain of a journal; both are closed with the stack.

    Args:
        stack: Closes them.
        folder: The journal; None for the default one.
        options: What a person asked for.
        progress: Hears how far it is.
        others: As `Drain` takes them.

    Raises:
        UploaderError: A setting cannot be used.
        JournalError: The journal cannot be used.
    """
    from journal.opening import open_with_room
    from uploader.delivery.drain import Drain

    settings = settings_for(folder)
    journal = stack.enter_context(open_with_room(folder))
    outbox = stack.enter_context(closing(journal.outbox()))
    return Drain(journal, outbox, settings, options, progress=progress, reread=partial(settings_for, folder), **others)


def settings_for(folder: Path | None) -> Settings:
    """Read the settings for work on a journal; commands in messages name it unless it is the default one.

    Args:
        folder: The folder that a person named, None for the default.

    Raises:
        SettingsError: A URL in the environment cannot be used.
    """
    from journal.locations import default_journal

    return replace(Settings.load(), journal=None if folder == default_journal() else folder)
