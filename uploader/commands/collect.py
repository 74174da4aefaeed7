"""`uploader collect`: bring what nodes recorded into a shared journal."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.arrival_lines import TIMES
from uploader.commands.dialogue import JOURNAL_UNUSABLE, USAGE
from uploader.commands.folders import File, JournalOrPack
from uploader.commands.help_texts import epilog
from uploader.commands.log_file import printing_to
from uploader.commands.mirror_option import DAMAGED
from uploader.commands.run_completion import RunName
from uploader.commands.stop_signals import StopSignals
from uploader.delivery.drain_options import LONGEST

if TYPE_CHECKING:
    from journal.collecting.collecting import Collected
    from journal.folder import Journal
    from uploader.commands.collecting import Bringing, Collector, Way

WORK_REMAINS = 3
_CODES = """ (the first that fits)
  2  the arguments cannot be used, or name nothing
  1  a journal, a pack or the place of checkpoints cannot be used, until
     what the message says is done
  3  work remains: the server cannot be reached now, or is busy, or a
     mirror or the place of checkpoints is away, or it was stopped
     before the end. Run it again
  4  a checkpoint that a run needs is nowhere any more, something of a
     mirror is damaged, or what has arrived does not fit
  0  all that these had recorded is in the shared journal, with the bytes
     that are needed, committed: it does not depend on these any more

SIGINT or SIGTERM ends it well: with --watch, what is there by then is
brought first. A second one ends it at once; nothing is lost by either.
"""


def _seconds(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value <= LONGEST:
        raise click.BadParameter(f"{value:g} is not a number of seconds from 0 to {LONGEST:,}", ctx, param)
    return value


@click.command(
    cls=Acting,
    epilog=epilog(
        "collect --into postgresql://lab@db/outbox",
        "collect --into postgresql://lab@db/outbox --watch",
        "collect /nodes/*/journal --into postgresql://lab@db/outbox",
        codes=_CODES,
    ),
)
@click.argument("places", nargs=-1, type=JournalOrPack(), metavar="[FROM]...")
@click.option("--into", metavar="URL", envvar="UPLOADER_INTO", show_envvar=True, help="The shared journal.")
@click.option(
    "--blobs",
    metavar="PLACE",
    envvar="UPLOADER_BLOBS",
    show_envvar=True,
    help="Where the shared journal keeps checkpoints, named once: s3://bucket/folder, or a folder that all mount.",
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    type=RunName(),
    help="Only this run, by its name or the start of its id.",
)
@click.option("--watch", is_flag=True, help="Never stop; bring what is recorded meanwhile, too, within seconds.")
@click.option("--until-done", is_flag=True, help="Like --watch, but stop when no training records any more.")
@click.option("--max-time", type=float, callback=_seconds, metavar="SECONDS", help="Keep trying for this long.")
@click.option("--log", type=File(dir_okay=False), help="Print to this file, of 1 MB and one older of 1 MB.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def collect(
    *,
    places: tuple[Path, ...],
    into: str | None,
    blobs: str | None,
    runs: tuple[str, ...],
    log: Path | None,
    as_json: bool,
    **way: Any,
) -> NoReturn:
    """Bring what was recorded on this machine, or in journals, mirrors and packs of others, into a shared journal.

    Without FROM it is this machine's own journal. Any number of machines collect into one shared journal, and any
    number of drains deliver from it. Each event and each checkpoint comes in once, whoever brings it and however often.
    What drains have delivered is told to the journals that it comes from, so that `status` shows it there, too.

    Nothing is taken out of the sources.
    """
    from journal.locations import chosen_shared
    from uploader.commands.collecting import Way

    into = into or chosen_shared()
    _require_journals(places if runs else ())
    address, kept = _checked(into), _checked_place(blobs)
    chosen = Way(watch=way["watch"] or way["until_done"], until_done=way["until_done"], max_time=way["max_time"])
    with printing_to(log):
        times = "%(asctime)s  " if log else ""
        logging.basicConfig(level=logging.WARNING, format=f"{times}%(message)s", datefmt=TIMES)
        if log:
            logging.getLogger("uploader").warning("process %s brings what is recorded into %s", os.getpid(), address)
        _collect(places, partial(_opened, into or "", kept), address, runs, chosen, log=log, as_json=as_json)


def _require_journals(places: Sequence[Path]) -> None:
    """End the command where runs are named of what all comes in of."""
    from journal.reading.places import what_is

    for place in places:
        if (what := what_is(place)) in {"pack", "mirror"}:
            raise click.UsageError(f"--run names runs of journals; {place} is a {what}, of which all comes in")


def _checked(into: str | None) -> str:
    """Return the shared journal's URL without a password; end the command where it is none."""
    from journal.errors import JournalError
    from journal.postgres.postgres_backend import parse
    from journal.shared_addresses import without_password

    if not into:
        raise click.UsageError("--into names the shared journal, as in --into postgresql://user@host/database")
    try:
        parse(into)
    except JournalError as error:
        raise click.UsageError(f"--into: {error}") from error
    return without_password(into)


def _checked_place(blobs: str | None) -> str | None:
    """Return the place of checkpoints in its usual form, if one is named; end the command where it cannot be one."""
    from journal.object_stores.object_addresses import scheme_of
    from journal.reading.places import around
    from journal.shared_blobs.blob_places import checked_place

    try:
        place = checked_place(blobs) if blobs else None
    except ValueError as error:
        raise click.UsageError(f"--blobs: {error}") from error
    if place and not scheme_of(place) and (found := around(place)):
        what, folder = found
        raise click.UsageError(
            f"--blobs: {place} is in the {what} {folder}, with whose checkpoints the shared journal's would be mixed "
            "up and wiped; name a folder outside of any journal or mirror"
        )
    return place


def _collect(
    places: Sequence[Path],
    open_outbox: Callable[[], Journal],
    address: str,
    runs: Sequence[str],
    way: Way,
    *,
    log: Path | None,
    as_json: bool,
) -> NoReturn:
    from journal.locations import recording_folder
    from uploader.commands.collect_sources import source_of
    from uploader.commands.collecting import Collector
    from uploader.commands.collector_note import CollectorNote

    chosen = list(dict.fromkeys(places)) or [recording_folder(None)]
    stop = StopSignals()
    tell = None
    if way.until_done:  # it is beside a training, and no terminal's
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop.heard(), ExitStack() as stack:
        if way.until_done:
            note = CollectorNote(chosen[0], log)
            stack.callback(lambda: note.end(was_stopped=stop.has_come))  # the command ends by an exit
            tell = note.tell
        sources = [source_of(place, runs, waits=way.watch, is_one_of_several=len(chosen) > 1) for place in chosen]
        collector = stack.enter_context(closing(Collector(sources, open_outbox, lambda: stop.has_come, tell)))
        if way.watch:
            collector.run(way)
        else:
            stop.break_off(partial(collector.run, way))
            if unknown := set(runs).intersection(*(one.lacking for one in sources)):
                raise click.UsageError(f"{min(unknown)!r} fits no run of these")
        _end(collector, address, as_json=as_json)


def _opened(url: str, blobs: str | None) -> Journal:
    """Open the shared journal, and decide where it keeps checkpoints if that is named.

    Raises:
        SettingsError: Another place was decided on before.
        JournalError: The journal, or that place, cannot be used now.
    """
    from journal.object_stores.object_addresses import scheme_of
    from journal.opening import open_shared
    from uploader.errors import SettingsError

    opened = open_shared(url)
    try:
        if blobs and opened.shared_blobs:
            is_new = not scheme_of(blobs) and not Path(blobs).exists()
            opened.shared_blobs.decide(blobs)
            if is_new:
                click.echo(f"{blobs} was not there and was made; from now on checkpoints are kept in it", err=True)
    except BaseException as error:
        opened.close()
        if isinstance(error, ValueError):
            raise SettingsError(f"--blobs: {error}") from error
        raise
    return opened


def _end(collector: Collector, address: str, *, as_json: bool) -> NoReturn:
    codes = {_exit_code(one) for one in collector.brought}
    code = next(code for code in (USAGE, JOURNAL_UNUSABLE, WORK_REMAINS, DAMAGED, 0) if code in codes)
    if as_json:
        sources = [_values(one) for one in collector.brought]
        click.echo(json.dumps({"exit_code": code, "into": address, "sources": sources}))
    else:
        for one in collector.brought:
            click.echo(f"{_named(one)}: {_in_words(one)}", err=one.error is not None)
        is_in = code in {0, DAMAGED}
        click.echo(f"into {address}" if is_in else f"not all of it is in {address}", err=not is_in)
    sys.exit(code)


def _named(one: Bringing) -> str:
    """Return a source as a person named it."""
    from journal.reading.places import address_of

    return address_of(one.source.place) or str(one.source.place)


def _exit_code(one: Bringing) -> int:
    from journal.errors import (
        BlobsRefused,
        BlobsUnavailable,
        JournalAway,
        JournalBusy,
        JournalReadOnly,
        MirrorUnavailable,
    )
    from uploader.errors import SettingsError

    if isinstance(one.error, SettingsError):
        return USAGE
    if isinstance(one.error, BlobsRefused | JournalReadOnly):
        return JOURNAL_UNUSABLE
    away = (BlobsUnavailable, JournalAway, JournalBusy, MirrorUnavailable)
    if one.error is not None:
        return WORK_REMAINS if isinstance(one.error, away) else JOURNAL_UNUSABLE
    if one.collected is None:
        return WORK_REMAINS
    return DAMAGED if one.collected.missing or one.collected.refused else 0


def _in_words(one: Bringing) -> str:
    came = one.collected
    if one.error is not None:
        before = came and (came.events or came.checkpoints)
        return f"{one.error}\n  before that, {_came_in_words(came)}" if came and before else str(one.error)
    return "stopped before the end" if came is None else _came_in_words(came)


def _came_in_words(came: Collected) -> str:
    new = f"{count(came.events, 'new event')}, {count(came.checkpoints, 'new checkpoint')}"
    learned = f"; news of what has arrived of {count(came.learned, 'run')}" if came.learned else ""
    gone = [f"missing: checkpoint {sha256}, which a run needs" for sha256 in came.missing]
    refused = [f"not taken in: {why}" for why in came.refused]
    return "\n  ".join([f"{count(len(came.runs), 'run')}: {new}{learned}", *gone, *refused])


def _values(one: Bringing) -> dict[str, object]:
    place = {"source": _named(one)}
    if one.error is not None:
        place["error"] = str(one.error)
    if one.collected is None:
        return {"error": "stopped before the end", **place}
    names = ("events", "checkpoints", "bytes", "learned", "missing", "refused")
    return {**place, "runs": len(one.collected.runs), **{name: getattr(one.collected, name) for name in names}}
