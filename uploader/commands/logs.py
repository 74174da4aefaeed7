"""`uploader logs`: what a run has printed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.noticed_signals import NoticedSignals, noticed_signals
from uploader.commands.output_streams import is_anybody_reading
from uploader.commands.patience import Patience
from uploader.commands.run_argument import INTERRUPTED, RUN_IN_WORDS, chosen_run, run_argument
from uploader.commands.terminal_text import printable

if TYPE_CHECKING:
    from journal.reading.console_text import ConsoleChunk
    from uploader.reports.recorded_runs import RecordedRun

_CODES = """
    0  done; with --follow: the run is over, or nobody reads the output
    1  the journal cannot be used, or is not there; the message says why
    2  the arguments cannot be used, or name no run, or several
  130  ended by Ctrl-C"""
_HELP = f"""Print what a run has printed, from its beginning; it may still be training.

{RUN_IN_WORDS}

Progress bars are shown as they ended; those that go on follow at the end, without --follow. On a terminal, colours are
kept, and all else that a terminal obeys is left out: a training's output cannot take it over. In a pipe or a file there
are no colours either.
"""


@click.command(help=_HELP, epilog=epilog("logs", "logs demo/t1 --tail 50", "logs latest --follow", codes=_CODES))
@run_argument
@click.option("--follow", "-f", is_flag=True, help="Go on with what it prints from now on, until it is over.")
@click.option("--tail", "-n", type=click.IntRange(min=0), metavar="LINES", help="Only so many of the last lines.")
@journal_or_url_option
def logs(run: str, *, follow: bool, tail: int | None, journal: Path | None) -> None:
    """Print what a run has printed."""
    try:
        with chosen_run(run, journal, "logs") as chosen:
            if follow:
                with noticed_signals(signal.SIGINT, is_second_fatal=True) as interrupts:
                    _follow(chosen, _print_recorded(chosen, tail, interrupts), interrupts)
            else:
                _print_recorded(chosen, tail)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _print_recorded(run: RecordedRun, tail: int | None, interrupts: NoticedSignals | None = None) -> int:
    """Print what is recorded, and where it is not followed its bars; return the id of the chunk that arrived last."""
    newest, last = _print_all(run, interrupts) if tail is None else _print_tail(run, tail)
    if not newest and run.status().pruned:
        click.echo(f"uploader logs: what {run.name} had printed was pruned here", err=True)
    if last and interrupts is None:
        _print(printable(frame, colours=True) for frame in last.progress.values())
    return newest


def _print_all(run: RecordedRun, interrupts: NoticedSignals | None) -> tuple[int, ConsoleChunk | None]:
    newest, last = 0, None
    for last in run.console_chunks():
        newest = max(newest, last.id)
        _print(_lines(last))
        if interrupts:
            interrupts.wait(0)
        if not is_anybody_reading():
            sys.exit(0)
    return newest, last


def _print_tail(run: RecordedRun, lines: int) -> tuple[int, ConsoleChunk | None]:
    chunks, newest = run.console_tail(lines)
    every = [line for each in chunks for line in _lines(each)]
    _print(every[max(0, len(every) - lines) :])
    return newest, chunks[-1] if chunks else None


def _follow(run: RecordedRun, newest: int, interrupts: NoticedSignals) -> None:
    """Print what arrives, until the run is over or nobody reads it."""
    from uploader.delivery.journal_changes import looks

    patience = Patience("logs")
    for _ in looks(run.journal, wait=interrupts.wait):
        with patience.looking():
            chunks, goes_on = run.console_after(newest)
            for each in chunks:
                newest = max(newest, each.id)
                _print(_lines(each))
            if not goes_on or not is_anybody_reading():
                return


def _lines(chunk: ConsoleChunk) -> Iterator[str]:
    from uploader.console_chunks import folded

    return (printable(line, colours=True) for line in folded(chunk.text))


def _print(lines: Iterable[str]) -> None:
    if text := "\n".join(lines):
        click.echo(text)
