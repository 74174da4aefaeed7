"""Runs one drain for each journal that a person named, and combines their outcomes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.next_steps import next_command
from uploader.commands.dialogue import JOURNAL_UNUSABLE, USAGE
from uploader.commands.drain_sources import Chosen, taken_in
from uploader.commands.journal_access import require_journal
from uploader.commands.packs import write_receipts
from uploader.commands.stop_signals import StopSignals
from uploader.delivery.draining import opened_drain, settings_for
from uploader.delivery.summary import ALL_DELIVERED, DEAD_LETTERS, NO_CREDENTIALS, WORK_REMAINS, Summary
from uploader.errors import CredentialsRefused, DrainLocked, SettingsError
from uploader.keys import address_options
from uploader.platforms.registry import spec_of

if TYPE_CHECKING:
    from uploader.delivery.drain import Drain
    from uploader.delivery.drain_options import DrainOptions
    from uploader.delivery.progress import Progress

_WORST_FIRST = (USAGE, JOURNAL_UNUSABLE, NO_CREDENTIALS, WORK_REMAINS, DEAD_LETTERS, ALL_DELIVERED)


@dataclass(frozen=True)
class Ended:
    """The outcome of one journal's drain.

    Attributes:
        journal: The folder.
        result: The drain's summary, or the error that kept it from having one.
    """

    journal: Path
    result: Summary | Exception

    @property
    def exit_code(self) -> int:
        """The exit code of a drain of this journal alone."""
        if isinstance(self.result, Summary):
            return self.result.exit_code
        from journal.errors import JournalAway, JournalReadOnly

        codes: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], int]] = (
            (SettingsError, USAGE),
            (CredentialsRefused, NO_CREDENTIALS),
            (JournalReadOnly, JOURNAL_UNUSABLE),  # it stays so until a failover, or a person, changes that
            ((DrainLocked, JournalAway), WORK_REMAINS),
        )
        return next((code for kind, code in codes if isinstance(self.result, kind)), JOURNAL_UNUSABLE)


def worst(ended: Sequence[Ended]) -> int:
    """Return the exit code of several drains: the first that fits, in the order of `drain --help`."""
    codes = {one.exit_code for one in ended}
    return next(code for code in _WORST_FIRST if code in codes)


def drain_all(
    folders: Sequence[Path | None],
    options: DrainOptions,
    stop: StopSignals,
    *,
    as_json: bool,
    receipts: Path | None = None,
) -> list[Ended]:
    """Drain journals, all at once but those that hold the same run.

    Args:
        folders: Where they are; None for the default one.
        options: What a person asked for.
        stop: Stops them.
        as_json: Whether only JSON is to be printed.
        receipts: Where to write what has arrived, if anywhere.
    """
    from journal.errors import JournalError
    from uploader.delivery.run_mirrors import RunMirrors
    from uploader.delivery.several_journals import run_together
    from uploader.errors import UploaderError

    ended: list[Ended] = []
    drains: list[tuple[Path, Drain]] = []
    with ExitStack() as opened:
        sources = opened.enter_context(taken_in(folders, options, as_json=as_json, stop=stop))
        ended += [Ended(place, result) for place, result in sources.ended]
        for chosen in sources.journals:
            try:
                open_one = partial(
                    _opened, opened, chosen, as_json=as_json, alone=len(folders) == 1, may_be_none=receipts is None
                )
                # Of several, none waits for another's server.
                drains.append(_when_there(open_one, options, stop) if len(folders) == 1 else open_one())
            except (UploaderError, JournalError) as error:
                ended.append(Ended(_place(chosen.folder), error))
        stop.stop([drain for _, drain in drains])
        if options.until_done:  # it is beside a training, and no terminal's
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        endings = run_together([drain for _, drain in drains], watch=options.watch)
        sources.finish()
        for (place, _), ending in zip(drains, endings, strict=True):
            told = ending.refusing(sources.other_models.get(place, ())) if isinstance(ending, Summary) else ending
            ended.append(Ended(place, told))
        delivered = [(folder, drain.runs) for folder, drain in drains]
    ended = [_told(one, sources.troubles) for one in ended]
    is_hurried = any(isinstance(one.result, Summary) and one.result.interrupted for one in ended)
    for folder, runs in delivered:
        RunMirrors(folder).tell_all(runs, is_hurried=is_hurried)
    if receipts:
        ended += _receipts(receipts, [(folder, sorted(runs)) for folder, runs in delivered if runs])
    for one in ended:
        _warn_of_other_platforms(one)
    return ended


def _told(ended: Ended, troubles: Sequence[str]) -> Ended:
    """Return how a drain ended; that of the packs' journal is not complete where their mirrors are not."""
    from journal.locations import packs_journal

    if isinstance(ended.result, Summary) and ended.journal == packs_journal():
        return replace(ended, result=ended.result.without(troubles))
    return ended


def _receipts(path: Path, journals: Sequence[tuple[Path, Sequence[str]]]) -> list[Ended]:
    from journal.errors import JournalError

    try:
        write_receipts(path, journals)
    except JournalError as error:
        return [Ended(path, error)]
    return []


def _opened(stack: ExitStack, chosen: Chosen, *, as_json: bool, alone: bool, may_be_none: bool) -> tuple[Path, Drain]:
    """Open a journal with a drain for it; both are closed with the stack."""
    from journal.errors import JournalUnwritable

    folder, options = chosen.folder, chosen.options
    settings_for(folder)  # what cannot be used of them goes before what is wrong with the journal
    if not _comes_later(_place(folder), options):
        if alone:
            may_be_none = may_be_none and not options.runs
            require_journal(folder, "drain", as_json=as_json, may_be_none=may_be_none)
        elif not _is_there(_place(folder)):
            raise JournalUnwritable(f"there is no journal in {folder}; name the folder that holds `journal.db`")
    progress = _progress(options, as_json=as_json, alone=alone)
    drain = opened_drain(stack, folder, options, progress=progress, followed=chosen.followed)
    return drain.journal, drain


def _when_there(
    open_one: Callable[[], tuple[Path, Drain]], options: DrainOptions, stop: StopSignals
) -> tuple[Path, Drain]:
    """Open a journal, also if its server is away for a while."""
    from uploader.delivery.outages import until_there

    return until_there(open_one, watch=options.watch, max_time=options.max_time, has_stopped=lambda: stop.has_come)


def _place(folder: Path | None) -> Path:
    from journal.locations import default_journal

    return folder or default_journal()


def _is_there(folder: Path) -> bool:
    from journal.reading.places import what_is

    return what_is(folder) == "journal"


def _comes_later(folder: Path, options: DrainOptions) -> bool:
    """Return whether a missing journal may be created: a drain watches for it, or fallback files hold events for it."""
    from journal.disk import why_no_files
    from journal.reading.beside import is_awaited

    if options.watch and not _is_there(folder):
        click.echo(f"There is no journal in {folder} yet; waiting for one.", err=True)
    return options.watch or (is_awaited(folder) and not why_no_files(folder))


def _warn_of_other_platforms(ended: Ended) -> None:
    """Warn when no run goes where the environment points: a run keeps the platform that it was first given."""
    if not isinstance(ended.result, Summary):
        return
    for platform, chosen in settings_for(ended.journal).chosen_routes:
        used = {one.url for one in ended.result.destinations if one.platform == platform}
        if used and chosen not in used:
            command = next_command(f"drain --to {address_options(platform, chosen)}", ended.journal)
            variable = spec_of(platform).url_variable
            click.echo(
                f"No run here goes to {chosen} ({variable}): each keeps the platform it was given "
                f"first. `{command}` delivers them there too.",
                err=True,
            )


def _progress(options: DrainOptions, *, as_json: bool, alone: bool) -> Progress | None:
    """Return what shows how far a drain is: bars on a terminal, and for whoever watches a line for what arrives."""
    from uploader.commands.arrival_lines import ArrivalLines
    from uploader.commands.progress_bars import Bars
    from uploader.delivery.progress import Silent

    bars = Bars() if alone and not as_json and sys.stderr.isatty() else None
    if not options.watch:
        return bars
    return ArrivalLines(bars.say if bars else partial(click.echo, err=as_json), bars or Silent())
