"""Opening the journal for a command, and ending the command when there is none or it cannot be used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uploader.commands.dialogue import JOURNAL_UNUSABLE, USAGE, fail
from uploader.commands.phrases import in_fallback_files, of_another_journal, what_else

if TYPE_CHECKING:
    from journal import Journal

_ELSEWHERE = "name its folder by --journal or UPLOADER_JOURNAL"


def require_journal(
    folder: Path | None, command: str, *, as_json: bool, may_be_none: bool = False, elsewhere: str = ""
) -> None:
    """End the command when there is no journal, without creating one: the folder may be mistyped.

    Args:
        folder: The folder that a person named; None for the default, where nothing may have been recorded yet.
        command: The command's name, for the message.
        as_json: Whether to print one JSON object.
        may_be_none: Whether the command has then done all that it was asked for. It has not if a run was named, or
            something was to be made or proven: a script would go on as if it had been.
        elsewhere: How a person names another journal to this command, where it is not by `--journal`.
    """
    from journal.locations import default_journal
    from journal.reading.beside import waiting, waiting_elsewhere
    from journal.reading.places import what_is

    where = folder or default_journal()
    if what_is(where) == "journal":
        return
    message, beside = f"there is no journal in {where}", len(waiting(where))
    if beside:
        message += f" yet; {in_fallback_files(beside, where)}"
    if folder is not None and what_is(folder) in {"pack", "mirror"}:
        fail(f"{message}; {what_else(folder)}", command, JOURNAL_UNUSABLE, as_json=as_json)
    if folder is not None:
        advice = "" if beside else f"; {elsewhere or _ELSEWHERE}"
        fail(message + advice, command, JOURNAL_UNUSABLE, as_json=as_json)
    others = [of_another_journal(number, place) for place, number in waiting_elsewhere(where).items()]
    message += "" if beside else "; nothing was recorded there" if others else "; nothing was recorded yet"
    message = "; ".join([message, *others])
    if not may_be_none:
        advice = "" if beside else f"; {elsewhere or _ELSEWHERE}"
        fail(message + advice, command, JOURNAL_UNUSABLE, as_json=as_json)
    click.echo(json.dumps({"exit_code": 0, "message": message}) if as_json else f"uploader {command}: {message}")
    sys.exit(0)


@contextmanager
def opened_journal(
    folder: Path | None, command: str, *, as_json: bool = False, may_be_none: bool = False
) -> Iterator[Journal]:
    """Open the journal for a command; if there is none, or it cannot be used, end the command with a message.

    Args:
        folder: The folder that a person named, None for the default.
        command: The command's name, for the message.
        as_json: Whether to print the message as JSON.
        may_be_none: As for `require_journal`.
    """
    require_journal(folder, command, as_json=as_json, may_be_none=may_be_none)
    with journal_errors(command, as_json=as_json):
        from journal.opening import open_with_room

        with open_with_room(folder) as opened:
            yield opened


@contextmanager
def journal_errors(command: str, *, as_json: bool) -> Iterator[None]:
    """End the command with a message when the journal fails within the block.

    Args:
        command: The command's name, for the message.
        as_json: Whether to print the message as JSON.
    """
    from journal.errors import JournalError, UnknownRow

    try:
        yield
    except UnknownRow as error:
        fail(str(error), command, USAGE, as_json=as_json)
    except JournalError as error:
        fail(str(error), command, JOURNAL_UNUSABLE, as_json=as_json)
