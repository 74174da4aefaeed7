"""Journals on the command line: by `--journal`, by their paths alone, or by the environment."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from uploader.commands.folders import JournalFolder, JournalOrPack, unusable_reason

_PATHS = "uploader.paths"


def _keep(context: click.Context, argument: click.Parameter, given: tuple[Path, ...]) -> None:
    """Keep the paths for the option, whose value they are a part of."""
    del argument
    context.meta[_PATHS] = given


def _named(context: click.Context, option: click.Parameter, given: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the folders that a person named, without duplicates, or the one in the environment.

    Click does not read the variable itself, as it would split a path at a colon.
    """
    from journal.locations import chosen_journal, named_journal

    by_place = {folder.resolve(): folder for folder in (*context.meta.get(_PATHS, ()), *given)}
    chosen = chosen_journal()
    if chosen and not by_place and (why := unusable_reason(chosen)):
        raise click.BadParameter(f"UPLOADER_JOURNAL: {chosen} {why}; name another folder", context, option)
    if chosen and not by_place:
        _JOURNAL.convert(named_journal(), option, context)  # as it is written: of an address, a path would hide that
    return tuple(by_place.values()) or ((chosen,) if chosen else ())


def _the_one(context: click.Context, option: click.Parameter, given: tuple[Path, ...]) -> Path | None:
    named = _named(context, option, given)
    if len(named) > 1:
        raise click.BadParameter("give one journal; only `drain` and `status` take several", context, option)
    return named[0] if named else None


_JOURNAL = JournalFolder()
_option = partial(click.option, type=_JOURNAL, multiple=True)
_DEFAULT = "[env var: UPLOADER_JOURNAL; default: a per-user data folder]"
journal_option = _option(
    "--journal", callback=_the_one, help=f"Folder of the journal, as in attach(journal=...).  {_DEFAULT}"
)
journal_or_url_option = _option(
    "--journal",
    callback=_the_one,
    help=f"Folder of the journal, or URL of a shared one (postgresql://...), as in attach(journal=...).  {_DEFAULT}",
)
"""Of the commands that work on a shared journal, too."""
journals_option = _option(
    "--journal",
    "journals",
    callback=_named,
    help=f"The same as naming its folder or URL alone, [JOURNAL]; may be given several times.  {_DEFAULT}",
)
journal_argument = click.argument(
    "paths", nargs=-1, type=_JOURNAL, metavar="[JOURNAL]", callback=_keep, expose_value=False, is_eager=True
)
journals_argument = click.argument(
    "paths",
    nargs=-1,
    type=JournalOrPack(),
    metavar="[JOURNAL]...",
    callback=_keep,
    expose_value=False,
    is_eager=True,  # before the option
)
