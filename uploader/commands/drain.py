"""`uploader drain`: deliver what the journal holds."""

from __future__ import annotations

import json
import logging
import signal
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from journal.words import count, next_command
from uploader.commands.shared import (
    JOURNAL_UNUSABLE,
    USAGE,
    fail,
    journal_option,
    letters_in_words,
    place,
    require_journal,
    settings_for,
)
from uploader.drain.summary import NO_CREDENTIALS, WORK_REMAINS, DestinationSummary, Summary
from uploader.errors import CredentialsRefused, DrainLocked, SettingsError
from uploader.keys import ADDRESS_VARIABLES, address_options
from uploader.settings import PLATFORMS, ULTRALYTICS

if TYPE_CHECKING:
    from uploader.drain.options import DrainOptions
    from uploader.drain.progress import Progress
    from uploader.drain.worker import Drain

_EPILOG = """\b
Exit codes, the first that fits:
  2  the arguments or settings cannot be used
  1  the journal cannot be used
  5  the API key or the address of a platform with work left is missing
     here, or the key was refused; everything is kept
  3  work remains: the platform is offline or backs off, the drain was
     stopped, or another drain works on this journal
  4  dead letters, or runs that were refused as a whole: all else is
     delivered, these the platform refused
  0  everything is delivered

SIGINT or SIGTERM end a drain within seconds; the exit code tells what
remains. A second one ends it at once; nothing is lost by that either.
"""
_LONGEST = 10**9  # seconds, about thirty years; --watch goes on for ever


def _seconds(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Return a length of time that can be waited for; `nan`, which compares with nothing, is none."""
    if value is not None and not 0 <= value <= _LONGEST:
        raise click.BadParameter(f"{value:g} is no number of seconds from 0 to {_LONGEST:,}", ctx, param)
    return value


@click.command(epilog=_EPILOG)
@journal_option
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Only this run, by its name or the start of its id.")
@click.option("--to", metavar="URL", help="Deliver the runs to this platform too; your key goes there.")
@click.option("--platform", type=click.Choice(PLATFORMS), help="What --to speaks.  [default: ultralytics]")
@click.option("--watch", is_flag=True, help="Go on for ever, also with what is recorded meanwhile.")
@click.option("--max-time", type=float, callback=_seconds, metavar="SECONDS", help="Go on trying for so long.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    envvar="UPLOADER_PARALLEL",
    show_envvar=True,
    help="How many messages to have under way at once, for each platform.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def drain(journal: Path | None, as_json: bool, platform: str | None, **options: Any) -> NoReturn:
    """Deliver what the journal holds, until nothing more can be done now.

    A key goes only to the platform that it was set for: ULTRALYTICS_API_KEY to ULTRALYTICS_PLATFORM_URL, else to the
    public one; HUB_API_KEY to ULTRALYTICS_HUB_API likewise. What the journal holds for any other address is kept, and
    waits until you name that address in these variables, or by --to.
    """
    if platform and not options["to"]:
        raise click.UsageError("--platform says what the platform at --to speaks; give --to as well")
    from journal import JournalError
    from journal.locations import default_journal
    from uploader.drain.options import DrainOptions

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        summary = _run(journal, DrainOptions(platform=platform or ULTRALYTICS, **options), as_json)
    except SettingsError as error:
        fail(str(error), "drain", USAGE, as_json=as_json)
    except CredentialsRefused as error:
        fail(str(error), "drain", NO_CREDENTIALS, as_json=as_json)
    except DrainLocked as error:
        fail(str(error), "drain", WORK_REMAINS, as_json=as_json)
    except JournalError as error:
        fail(str(error), "drain", JOURNAL_UNUSABLE, as_json=as_json)
    click.echo(_as_json(summary) if as_json else _as_text(summary, journal or default_journal()))
    sys.exit(summary.exit_code)


def _run(folder: Path | None, options: DrainOptions, as_json: bool) -> Summary:
    from journal.folder import open_with_room
    from uploader.drain.worker import Drain

    settings = settings_for(folder)
    if not _comes_later(folder, options):
        require_journal(folder, "drain", as_json=as_json)
    with open_with_room(folder) as opened, closing(opened.outbox()) as outbox:
        drain = Drain(opened, outbox, settings, options, _progress(as_json))
        _stop_on_signals(drain)
        summary = drain.run()
        for platform, url in settings.chosen_routes:
            _warn_of_another_platform(summary, platform, url, opened.path)
    return summary


def _comes_later(folder: Path | None, options: DrainOptions) -> bool:
    """Return whether a journal that is not there is to be made: it is waited for, or events for it wait beside it."""
    from journal.locations import default_journal
    from journal.presence import is_awaited, is_there

    where = folder or default_journal()
    if options.watch and not is_there(where):
        click.echo(f"There is no journal in {where} yet; waiting for one.", err=True)
    return options.watch or is_awaited(where)


def _warn_of_another_platform(summary: Summary, platform: str, chosen: str, folder: Path) -> None:
    """Say that no run goes where the environment points: a run keeps the platform that it was given first."""
    used = {one.url for one in summary.destinations if one.platform == platform}
    if used and chosen not in used:
        command = next_command(f"drain --to {address_options(platform, chosen)}", folder)
        click.echo(
            f"No run here goes to {chosen} ({ADDRESS_VARIABLES[platform]}): each keeps the platform it was given "
            f"first. `{command}` delivers them there too.",
            err=True,
        )


def _stop_on_signals(drain: Drain) -> None:
    def handle(number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        drain.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _progress(as_json: bool) -> Progress | None:
    if as_json or not sys.stderr.isatty():
        return None
    from uploader.drain.progress import Bars

    return Bars()


def _as_json(summary: Summary) -> str:
    return json.dumps({"exit_code": summary.exit_code, **asdict(summary)})


def _as_text(summary: Summary, folder: Path) -> str:
    delivered = sum(one.delivered for one in summary.destinations)
    lines = [f"{count(delivered, 'delivery')} made in {summary.seconds:.1f} s"]
    if summary.interrupted:
        lines.append("stopped before the end")
    if not summary.destinations:
        lines.append("the journal holds no runs to deliver")
    return "\n".join([*lines, *(_line(one, folder) for one in summary.destinations)])


def _line(one: DestinationSummary, folder: Path) -> str:
    parts = [f"{place(one.platform, one.url)}: {one.state}"]
    if one.pending or one.unplanned:
        parts.append(f"{count(one.pending, 'delivery')} pending, {count(one.unplanned, 'event')} not yet planned")
    parts += [f"View model at {url}" for url in one.models]
    if one.dead:
        parts.append(f"{count(one.dead, 'dead letter')}: {letters_in_words(one.dead_letters)}")
        parts.append(
            f"`{next_command('retry ID', folder)}` sends one again, `{next_command('drop ID', folder)}` gives up"
        )
    if one.blocked:
        parts.append(f"{count(one.blocked, 'run')} refused as a whole")
    if one.waiting:
        command = next_command("retry --all", folder)
        parts.append(f"what is recorded of that ({one.waiting}) waits: put the cause right, then `{command}`")
    if one.error:
        parts.append(one.error)
    if one.next_attempt_at:
        parts.append(f"next attempt from {one.next_attempt_at} on")
    return "\n  ".join(parts)
