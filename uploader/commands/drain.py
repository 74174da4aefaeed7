"""`uploader drain`: deliver what a journal holds."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from journal.clock import to_the_second
from journal.kinds import CHECKPOINT, CONSOLE, EPOCH
from journal.next_steps import next_command
from journal.quantities import count, readable
from journal.shared_addresses import told
from uploader.commands.acting import Acting
from uploader.commands.arrival_lines import TIMES
from uploader.commands.dialogue import fail
from uploader.commands.drain_runner import Ended, drain_all, worst
from uploader.commands.drain_sources import require_watchable
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog, key_addresses
from uploader.commands.journal_option import journals_argument, journals_option
from uploader.commands.log_file import printing_to
from uploader.commands.packs import require_no_other
from uploader.commands.phrases import letters_in_words, place
from uploader.commands.run_completion import RunName
from uploader.commands.stop_signals import StopSignals
from uploader.delivery.drain_options import LONGEST, MOST_PARALLEL
from uploader.delivery.summary import ALL_DELIVERED, DestinationSummary, Summary
from uploader.platforms.registry import DEFAULT, NAMES

_CODES = """ (the first that fits)
  2  the arguments or settings cannot be used
  1  the journal cannot be used
  5  the API key or the address of a platform with work left is missing
     here, or the key was refused; everything is kept
  3  work remains: the platform is offline or asked to wait, the server
     of a shared journal is away, the drain was stopped, a file that a
     training left could not be read, a part of a mirror is damaged or
     missing, or another drain works on this journal
  4  dead letters, or runs that were refused as a whole: the platform
     refused these, everything else is delivered; or runs of which the
     platform has two models, as they were drained apart
  0  everything is delivered

SIGINT or SIGTERM stops a drain within seconds; the exit code tells what
remains. A second one ends it at once; nothing is lost by that either.
"""
_EPILOG = epilog(
    "drain",
    "drain --max-time 500",
    "drain --watch",
    "drain --to http://127.0.0.1:8765",
    "drain nodes/a/journal nodes/b/journal",
    "drain nodes/*/journal",
    "drain runs.pack --receipts runs.receipts",
    "drain /content/drive/MyDrive/mirror",
    "drain --until-done s3://bucket/trainings",
    "drain --watch postgresql://uploader@db.lab/uploader",
    codes=_CODES,
)
_HELP = f"""Deliver what the journal holds, until nothing more can be done now.

A key is sent only to the platform that it was set for: {key_addresses()}. What the journal holds for any other address
waits until you name that address in these variables or by --to.

A pack (see `pack`) or a mirror (see `mirror`) is drained like a journal. It is taken into a journal of its own first,
which remembers what has arrived, so that nothing is sent twice; a mirror is told as well. With --watch, a mirror is
followed while a training elsewhere adds to it; with --until-done, until that has ended.

A journal may be a PostgreSQL database, by its URL: then many drains work on it at once, on as many machines as you
like. The password comes from PGPASSWORD or ~/.pgpass. When the database is away, a drain waits for it: with --watch as
long as that takes, else for a minute.

Several journals are drained at once, or one after the other where they hold the same run, with one summary and one exit
code. With --watch, a missing or refused key is
reported, and the settings are read again now and then until there is one that works.
"""
_NOUNS = {EPOCH: "epoch", CONSOLE: "console chunk", CHECKPOINT: "checkpoint"}
"""What of a drain's deliveries people count."""
_MODELS = 5
"""So many models' addresses are shown of a destination; --json has all."""


def _seconds(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Check a number of seconds; `nan` fails the comparison, as it should."""
    if value is not None and not 0 <= value <= LONGEST:
        raise click.BadParameter(f"{value:g} is not a number of seconds from 0 to {LONGEST:,}", ctx, param)
    return value


@click.command(cls=Acting, epilog=_EPILOG, help=_HELP)
@journals_argument
@journals_option
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    type=RunName(),
    help="Only this run, by its name or the start of its id.",
)
@click.option(
    "--to",
    metavar="URL",
    help="Deliver the runs to this platform as well; your key is sent to it.",
)
@click.option("--platform", type=click.Choice(NAMES), help=f"The API of --to.  [default: {DEFAULT.name}]")
@click.option(
    "--watch", is_flag=True, help="Never stop; deliver what is recorded meanwhile, too, and print what arrives."
)
@click.option(
    "--until-done",
    is_flag=True,
    help="Like --watch, but stop when no training records any more and everything has arrived.",
)
@click.option("--log", type=File(dir_okay=False), help="Print to this file, of 1 MB and one older of 1 MB.")
@click.option("--max-time", type=float, callback=_seconds, metavar="SECONDS", help="Keep trying for this long.")
@click.option(
    "--parallel",
    type=click.IntRange(1, MOST_PARALLEL),
    envvar="UPLOADER_PARALLEL",
    show_envvar=True,
    help="How many messages to send at once, for each platform; by default what the link and the platform take.",
)
@click.option(
    "--receipts",
    type=File(dir_okay=False),
    metavar="FILE",
    help="Write what has arrived into FILE; `receipts FILE` marks it where it was recorded.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def drain(
    journals: tuple[Path, ...], as_json: bool, platform: str | None, receipts: Path | None, **options: Any
) -> NoReturn:
    """Deliver what the journal holds."""
    if receipts:
        require_no_other(receipts)
    if platform and not options["to"]:
        raise click.UsageError("--platform names the API of --to; give --to as well")
    if len(journals) > 1 and options["runs"]:
        raise click.UsageError("--run names runs of one journal; give one journal with it")
    if options["watch"] or options["until_done"]:
        require_watchable(journals, "--until-done" if options["until_done"] else "--watch")
    options["watch"] = options["watch"] or options["until_done"]
    with printing_to(options["log"]):
        _drain(journals, as_json=as_json, receipts=receipts, platform=platform or DEFAULT.name, **options)


def _drain(journals: Sequence[Path], *, as_json: bool, receipts: Path | None, **options: Any) -> NoReturn:
    from uploader.delivery.drain_options import DrainOptions

    times = "%(asctime)s  " if options["log"] else ""
    logging.basicConfig(level=logging.WARNING, format=f"{times}%(message)s", datefmt=TIMES)
    if options["log"]:
        logging.getLogger("uploader").warning("process %s drains %s", os.getpid(), ", ".join(map(told, journals)))
    chosen = DrainOptions(**options)
    stop = StopSignals()
    with stop.heard():  # until all is said, and the exit code tells what remains
        ended = drain_all(journals or (None,), chosen, stop, as_json=as_json, receipts=receipts)
        if len(ended) == 1:
            _show(ended[0], as_json=as_json)
        else:
            click.echo(_all_as_json(ended) if as_json else _all_as_text(ended))
    sys.exit(worst(ended))


def _show(ended: Ended, *, as_json: bool) -> None:
    if not isinstance(ended.result, Summary):
        fail(str(ended.result), "drain", ended.exit_code, as_json=as_json)
    click.echo(_as_json(ended.result) if as_json else _as_text(ended.result, ended.journal))


def _all_as_text(ended: Sequence[Ended]) -> str:
    made = sum(one.delivered for each in ended if isinstance(each.result, Summary) for one in each.result.destinations)
    done = sum(each.exit_code == ALL_DELIVERED for each in ended)
    total = f"in all: {count(made, 'delivery')} made; {done} of {count(len(ended), 'journal')} delivered completely"
    return "\n\n".join([*(_one_of_several(one) for one in ended), total])


def _one_of_several(ended: Ended) -> str:
    if isinstance(ended.result, Summary):
        return f"{told(ended.journal)}: {_as_text(ended.result, ended.journal)}"
    return f"{told(ended.journal)}: {ended.result}"


def _all_as_json(ended: Sequence[Ended]) -> str:
    """Return one object: what one journal's drain prints, with the journal at each destination and each error."""
    done = [(one.journal, one.result) for one in ended if isinstance(one.result, Summary)]
    shown = {
        "exit_code": worst(ended),
        "destinations": [{"journal": told(place), **asdict(each)} for place, one in done for each in one.destinations],
        "seconds": max((one.seconds for _, one in done), default=0.0),
        "interrupted": any(one.interrupted for _, one in done),
        "other_models": [why for _, one in done for why in one.other_models],
        "left_beside": [path for _, one in done for path in one.left_beside],
        "not_in_mirror": [what for _, one in done for what in one.not_in_mirror],
        "errors": [
            {"journal": told(one.journal), "exit_code": one.exit_code, "error": str(one.result)}
            for one in ended
            if not isinstance(one.result, Summary)
        ],
    }
    return json.dumps(shown)


def _as_json(summary: Summary) -> str:
    return json.dumps({"exit_code": summary.exit_code, **asdict(summary)})


def _as_text(summary: Summary, folder: Path) -> str:
    delivered = sum(one.delivered for one in summary.destinations)
    lines = [f"{count(delivered, 'delivery')} made in {summary.seconds:.1f} s{_in_numbers(summary)}"]
    if summary.interrupted:
        lines.append("stopped before the end")
    if summary.left_beside:
        lines.append(f"not taken in, of what trainings left beside the journal: {', '.join(summary.left_beside)}")
        lines.append(f"  remove the cause, then `{next_command('drain', folder)}`")
    lines += [f"two models: {why}" for why in summary.other_models]
    lines += [f"not delivered: {what}" for what in summary.not_in_mirror]
    if not summary.destinations and not summary.not_in_mirror:
        lines.append("the journal holds no runs to deliver")
    return "\n".join([*lines, *(_line(one, folder) for one in summary.destinations)])


def _models(one: DestinationSummary, folder: Path) -> Iterator[str]:
    """Yield where models are; of many the last ones, and how many there are before these."""
    if (others := len(one.models) - _MODELS) > 0:
        command = next_command("status --json", folder)
        yield f"{count(others, 'model')} before these; `{command}` has the address of each run's"
    yield from (f"View model at {url}" for url in one.models[-_MODELS:])


def _in_numbers(summary: Summary) -> str:
    """Return what a drain has delivered: `: 3 epochs, 2 console chunks, 1 checkpoint, 2 others; 2 MB`."""
    made: Counter[str] = Counter()
    for one in summary.destinations:
        made.update(one.made)
    if not made:
        return ""
    parts = [count(made.pop(kind), noun) for kind, noun in _NOUNS.items() if made[kind]]
    parts += [count(others, "other")] if (others := sum(made.values())) else []
    return f": {', '.join(parts)}; {readable(sum(one.bytes for one in summary.destinations))}"


def _line(one: DestinationSummary, folder: Path) -> str:
    known = ": it has confirmed everything" if one.state == "up to date" else ""  # whether it is there, `verify` says
    parts = [f"{place(one.platform, one.url)}: {one.state}{known}"]
    if one.pending or one.unplanned:
        parts.append(f"{count(one.pending, 'delivery')} pending, {count(one.unplanned, 'event')} not yet planned")
    parts += _models(one, folder)
    if one.dead:
        parts.append(f"{count(one.dead, 'dead letter')}: {letters_in_words(one.dead_letters)}")
        parts.append(
            f"`{next_command('retry ID', folder)}` sends one again, `{next_command('drop ID', folder)}` drops it"
        )
    if one.blocked:
        parts.append(f"{count(one.blocked, 'run')} refused as a whole")
    if one.waiting:
        command = next_command("retry --all", folder)
        parts.append(f"what is recorded of that ({one.waiting}) waits: remove the cause, then `{command}`")
    if one.error:
        parts.append(one.error)
    for held in one.held:
        parts.append(f"{count(held.number, 'delivery')} claimed by {held.owner} until {to_the_second(held.until)}")
    if one.next_attempt_at:
        parts.append(f"next attempt from {to_the_second(one.next_attempt_at)} on")
    return "\n  ".join(parts)
