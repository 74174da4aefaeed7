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

from uploader.commands.shared import JOURNAL_UNUSABLE, USAGE, journal_option
from uploader.drain.summary import CREDENTIALS_REFUSED, WORK_REMAINS, DestinationSummary, Summary
from uploader.errors import CredentialsRefused, DrainLocked, SettingsError
from uploader.settings import Settings

if TYPE_CHECKING:
    from uploader.drain.progress import Progress
    from uploader.drain.worker import Drain, DrainOptions

_EPILOG = """\b
Exit codes, the first that fits:
  2  the arguments or settings cannot be used
  1  the journal cannot be used
  5  the API key is missing or refused; everything is kept
  3  work remains: the platform is offline or backs off, the drain was
     stopped, or another drain works on this journal
  4  dead letters: all else is delivered, these the platform refused
  0  everything is delivered

SIGINT or SIGTERM end a drain within seconds; the exit code tells what
remains. A second one ends it at once; nothing is lost by that either.
"""


@click.command(epilog=_EPILOG)
@journal_option
@click.option("--run", "runs", multiple=True, metavar="ID", help="Only this run, by its id or the beginning of it.")
@click.option("--to", metavar="URL", help="Deliver the runs to this platform too, from now on.")
@click.option("--watch", is_flag=True, help="Go on for ever, also with what is recorded meanwhile.")
@click.option("--max-time", type=click.FloatRange(min=0), metavar="SECONDS", help="Go on trying for so long.")
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
def drain(journal: Path | None, as_json: bool, **options: Any) -> NoReturn:
    """Deliver what the journal holds, until nothing more can be done now."""
    from journal import JournalError
    from uploader.drain.worker import DrainOptions

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        summary = _run(journal, DrainOptions(**options), as_json)
    except SettingsError as error:
        _fail(str(error), USAGE, as_json)
    except CredentialsRefused as error:
        _fail(str(error), CREDENTIALS_REFUSED, as_json)
    except DrainLocked as error:
        _fail(str(error), WORK_REMAINS, as_json)
    except JournalError as error:
        _fail(str(error), JOURNAL_UNUSABLE, as_json)
    click.echo(_as_json(summary) if as_json else _as_text(summary))
    sys.exit(summary.exit_code)


def _run(folder: Path | None, options: DrainOptions, as_json: bool) -> Summary:
    import journal
    from uploader.drain.worker import Drain

    settings = Settings.load()
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        drain = Drain(opened, outbox, settings, options, _progress(as_json))
        _stop_on_signals(drain)
        summary = drain.run()
    _warn_of_another_platform(summary, settings.chosen_platform_url)
    return summary


def _warn_of_another_platform(summary: Summary, chosen: str | None) -> None:
    """Say that no run goes where the environment points: a run keeps the platform that it was given first."""
    used = {one.url for one in summary.destinations if one.platform == "ultralytics"}
    if chosen and used and chosen not in used:
        click.echo(
            f"No run here goes to {chosen} (ULTRALYTICS_PLATFORM_URL): each keeps the platform it was given first. "
            f"`python -m uploader drain --to {chosen}` delivers them there too.",
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


def _fail(message: str, code: int, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"exit_code": code, "error": message}))
    else:
        click.echo(f"uploader drain: {message}", err=True)
    sys.exit(code)


def _as_json(summary: Summary) -> str:
    return json.dumps({"exit_code": summary.exit_code, **asdict(summary)})


def _as_text(summary: Summary) -> str:
    delivered = sum(one.delivered for one in summary.destinations)
    lines = [f"{delivered} deliveries made in {summary.seconds:.1f} s"]
    if summary.interrupted:
        lines.append("stopped before the end")
    if not summary.destinations:
        lines.append("the journal holds no runs to deliver")
    return "\n".join([*lines, *(_line(one) for one in summary.destinations)])


def _line(one: DestinationSummary) -> str:
    parts = [f"{one.url}: {one.state}"]
    if one.pending or one.unplanned:
        parts.append(f"{one.pending} deliveries pending, {one.unplanned} events not yet planned")
    if one.dead:
        parts.append(f"{one.dead} dead letters, see the view dead_letters of journal.db")
    if one.blocked:
        parts.append(f"{one.blocked} runs refused as a whole")
    if one.error:
        parts.append(one.error)
    if one.next_attempt_at:
        parts.append(f"next attempt from {one.next_attempt_at} on")
    return "\n  ".join(parts)
