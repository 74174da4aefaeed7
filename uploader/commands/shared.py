"""What several commands share: the journal option, and how one that is not there, or unusable, ends a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from uploader.addresses import shown
from uploader.commands.folders import Folder, why_none
from uploader.errors import SettingsError
from uploader.settings import ULTRALYTICS, Settings

if TYPE_CHECKING:
    from journal import Journal
    from journal.reading.report import DeadLetter

JOURNAL_UNUSABLE = 1
USAGE = 2


def _named(context: click.Context, option: click.Parameter, given: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the folders that a person named, each once, or the one of the environment.

    The variable is not read by click, which would take a path with a colon in it for two.
    """
    from journal.locations import chosen_journal

    by_place = {folder.resolve(): folder for folder in given}
    chosen = chosen_journal()
    if chosen and not by_place and (why := why_none(chosen)):
        raise click.BadParameter(f"UPLOADER_JOURNAL: {chosen} {why}; name another folder", context, option)
    return tuple(by_place.values()) or ((chosen,) if chosen else ())


def _the_one(context: click.Context, option: click.Parameter, given: tuple[Path, ...]) -> Path | None:
    named = _named(context, option, given)
    if len(named) > 1:
        raise click.BadParameter("give one journal; only `drain` takes several", context, option)
    return named[0] if named else None


_option = partial(click.option, type=Folder(), multiple=True)
_DEFAULT = "[env var: UPLOADER_JOURNAL; default: a per-user data folder]"
journal_option = _option(
    "--journal", callback=_the_one, help=f"Folder of the journal, as in attach(journal=...).  {_DEFAULT}"
)
journals_option = _option(
    "--journal",
    "journals",
    callback=_named,
    help=f"Folder of the journal, as in attach(journal=...); may be given several times.  {_DEFAULT}",
)


def require_journal(folder: Path | None, command: str, *, as_json: bool) -> None:
    """End the command when there is no journal, and make none: who mistyped its folder must be told.

    Args:
        folder: The folder that a person named; None for the default, where nothing may have been recorded yet.
        command: The command's name, for the message.
        as_json: Whether to print one JSON object.
    """
    from journal.locations import default_journal
    from journal.reading.presence import is_there, waiting

    where = folder or default_journal()
    if is_there(where):
        return
    message, beside = f"there is no journal in {where}", len(waiting(where))
    if beside:
        message += f" yet; {in_fallback_files(beside, where)}"
    if folder is not None:
        advice = "" if beside else "; name its folder by --journal or UPLOADER_JOURNAL"
        fail(message + advice, command, JOURNAL_UNUSABLE, as_json=as_json)
    message += "" if beside else "; nothing was recorded yet"
    click.echo(json.dumps({"exit_code": 0, "message": message}) if as_json else f"uploader {command}: {message}")
    sys.exit(0)


def in_fallback_files(number: int, folder: Path) -> str:
    """Return how to have events that wait beside a journal taken in.

    Args:
        number: How many fallback files hold them.
        folder: The journal.
    """
    from journal.wording import count, next_command

    return f"events for it wait in {count(number, 'fallback file')}; `{next_command('drain', folder)}` takes them in"


@contextmanager
def opened_journal(folder: Path | None, command: str, *, as_json: bool = False) -> Iterator[Journal]:
    """Open the journal for a command; when there is none, or it or the work with it fails, say so and exit.

    Args:
        folder: The folder that a person named, None for the default.
        command: The command's name, for the message.
        as_json: Whether to say so in JSON.
    """
    require_journal(folder, command, as_json=as_json)
    with journal_errors(command, as_json=as_json):
        from journal.folder import open_with_room

        with open_with_room(folder) as opened:
            yield opened


@contextmanager
def journal_errors(command: str, *, as_json: bool) -> Iterator[None]:
    """Say what went wrong with the journal inside, and exit.

    Args:
        command: The command's name, for the message.
        as_json: Whether to say so in JSON.
    """
    from journal.errors import JournalError, UnknownRow

    try:
        yield
    except UnknownRow as error:
        fail(str(error), command, USAGE, as_json=as_json)
    except JournalError as error:
        fail(str(error), command, JOURNAL_UNUSABLE, as_json=as_json)


_SHOWN_OF_ID = 8
"""So many characters of a run's id are usually typed; fewer digits are the id of a dead letter."""


@dataclass(frozen=True)
class Letters:
    """Dead letters that a person named.

    Attributes:
        ids: Theirs.
        runs: The runs that were named, whose dead letters are all among these.
    """

    ids: tuple[int, ...]
    runs: tuple[str, ...]


def named_letters(opened: Journal, words: Sequence[str]) -> Letters:
    """Return the dead letters that words name: each its id, or a run, for all of the run's.

    Args:
        opened: The journal.
        words: What a person typed.

    Raises:
        UnknownRow: One of them names neither.
    """
    report = opened.report()
    by_run = {run.id: [one.id for target in run.targets for one in target.dead_letters] for run in report}
    every = {str(each) for ids in by_run.values() for each in ids}
    numbers = [int(word) for word in words if word in every]
    others = [word for word in words if word not in every]
    names = {run.name for run in report}
    strange = [word for word in others if word.isdecimal() and word not in names and not _begins_id(by_run, word)]
    opened.require_dead([int(word) for word in strange])
    runs = tuple(named_runs(opened, others)) if others else ()
    ids = dict.fromkeys([*numbers, *(each for run in runs for each in by_run[run])])
    return Letters(tuple(ids), runs)


def named_runs(opened: Journal, words: Sequence[str]) -> list[str]:
    """Return the ids of the runs that words name: an id or its beginning, or a name.

    Raises:
        UnknownRow: One of them fits no run, or several.
    """
    from contextlib import closing

    from journal.errors import UnknownRow
    from uploader.delivery.run_routing import choose_runs

    with closing(opened.outbox()) as outbox:
        runs = outbox.runs()
    try:
        return choose_runs(runs, words, opened.path) or []
    except SettingsError as error:
        raise UnknownRow(str(error)) from error


def _begins_id(runs: Iterable[str], word: str) -> bool:
    """Return whether digits are meant for a run: one in sixteen of their ids begins as a letter's id does."""
    return len(word) >= _SHOWN_OF_ID and any(run.startswith(word) for run in runs)


def letters_in_words(letters: Sequence[DeadLetter], limit: int = 3) -> str:
    """Return dead letters with the ids that `retry` and `drop` know them by, and the first one's reason."""
    named = ", ".join(f"{one.id} ({one.kind})" for one in letters[:limit])
    more = f" and {len(letters) - limit} more" if len(letters) > limit else ""
    why = f": {letters[0].reason}" if letters[0].reason else ""
    return f"{named}{more}{why}"


def require_yes(command: str, *, yes: bool, as_json: bool) -> None:
    """End a command that would ask a question where only JSON is to be printed.

    Args:
        command: The command's name, for the message.
        yes: Whether `--yes` was given, so that nothing is asked.
        as_json: Whether to print one JSON object.
    """
    if as_json and not yes:
        fail("--json asks no questions; give --yes as well", command, USAGE, as_json=True)


def ask(question: str, *, yes: bool) -> None:
    """Ask, beside what the command prints, and end it unless the answer is yes; with `yes` nothing is asked."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def settings_for(folder: Path | None) -> Settings:
    """Read the environment for work on a journal, so that messages name the journal where they have to.

    Args:
        folder: The folder that a person named, None for the default.

    Raises:
        SettingsError: A URL in the environment is no usable base URL.
    """
    from journal.locations import default_journal

    return replace(Settings.load(), journal=None if folder == default_journal() else folder)


def fail(message: str, command: str, code: int, *, as_json: bool) -> NoReturn:
    """End the command with an exit code and its reason, which goes to stdout where JSON is read from there.

    Args:
        message: The reason, and what to do.
        command: The command's name.
        code: The exit code.
        as_json: Whether to print one JSON object.
    """
    if as_json:
        click.echo(json.dumps({"exit_code": code, "error": message}))
    else:
        click.echo(f"uploader {command}: {message}", err=True)
    sys.exit(code)


def place(platform: str, url: str) -> str:
    """Return a platform's address as people read it; a server may be an Ultralytics Platform and a HUB at once."""
    if not url:
        return f"{platform} (chosen by name)"
    return shown(url) if platform == ULTRALYTICS else f"{shown(url)} ({platform})"
