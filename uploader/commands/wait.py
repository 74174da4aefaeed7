"""`uploader wait`: until a run has arrived, was verified, or is as good as somebody wants."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.dialogue import fail
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.noticed_signals import NoticedSignals, noticed_signals
from uploader.commands.patience import Patience
from uploader.commands.run_argument import INTERRUPTED, RUN_IN_WORDS, chosen_run, run_argument
from uploader.errors import SettingsError

if TYPE_CHECKING:
    from journal.reading.recorded_epochs import RecordedEpoch
    from uploader.reports.conditions import Condition
    from uploader.reports.reaching import Judgement
    from uploader.reports.recorded_runs import RecordedRun

TIMED_OUT = 3
_ENDED = {"reached": 0, "trouble": 4, "never": 6}
_CODES = """
    0  reached
    1  the journal cannot be used, or is not there; the message says why
    2  the arguments cannot be used, or name no run, or several
    3  not reached within --timeout
    4  it needs a person first: the platform refused something of the run or
       all of it, or has something else than the journal
    6  it can never be reached: the run is over without it, goes nowhere any
       more, or its epochs were pruned
  130  ended by Ctrl-C"""
_HELP = f"""Wait until a run has arrived, was verified, or is as good as you want, for scripts that go on then.

{RUN_IN_WORDS}

\b
  --until delivered               it is over, and all of it has arrived
  --until verified                and `verify` has read it back since
  --until 'metrics/mAP50(B)>=0.8' an epoch, or the final evaluation, says so;
                                  the signs are >=, >, <= and <

It says on stderr what it waits for, and whenever that changes. It only reads: a training, a drain or `verify` at work
makes it come true, and where there is none, it names the command.
"""


def _timeout(context: click.Context, option: click.Parameter, value: float | None) -> float:
    """Return the seconds to wait, without an end by default; `nan` fails the comparison, as it should."""
    if value is not None and not value >= 0:
        raise click.BadParameter(f"{value:g} is not a number of seconds from 0 on", context, option)
    return math.inf if value is None else value


def _condition(context: click.Context, option: click.Parameter, value: str) -> Condition:
    from uploader.reports.conditions import parse_condition

    try:
        return parse_condition(value)
    except SettingsError as error:
        raise click.BadParameter(str(error), context, option) from error


@click.command(
    cls=Acting,
    help=_HELP,
    epilog=epilog(
        "wait --until delivered",
        "wait demo/t1 --until verified --timeout 3600",
        "wait latest --until 'metrics/mAP50(B)>=0.8' && notify-send done",
        codes=_CODES,
    ),
)
@run_argument
@click.option("--until", required=True, metavar="CONDITION", callback=_condition, help="What to wait for; see above.")
@click.option("--timeout", type=float, metavar="SECONDS", callback=_timeout, help="For so long at most.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@journal_or_url_option
def wait(*, run: str, until: Condition, timeout: float, as_json: bool, journal: Path | None) -> NoReturn:
    """Wait until a run has arrived, was verified, or is as good as somebody wants."""
    try:
        with (
            chosen_run(run, journal, "wait", as_json=as_json) as chosen,
            noticed_signals(signal.SIGINT, is_second_fatal=True) as interrupts,
        ):
            judgement = _wait(chosen, until, timeout, interrupts)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    _end(chosen, until, judgement, timeout, as_json=as_json)


def _wait(run: RecordedRun, until: Condition, timeout: float, interrupts: NoticedSignals) -> Judgement:
    """Look at the run until the condition is decided, or the time is over; return the last judgement."""
    from journal.next_steps import next_command
    from uploader.delivery.journal_changes import looks
    from uploader.reports.conditions import Comparison
    from uploader.reports.reaching import Best, judge

    epochs: dict[int, RecordedEpoch] = {}
    newest, told = 0, ""
    deadline = time.monotonic() + timeout
    judgement, patience = None, Patience("wait")
    try:
        for _ in looks(run.journal, wait=_until(deadline, interrupts)):
            with patience.looking():
                progress = run.progress(newest)
                newest = progress.newest_epoch
                epochs.update((one.epoch, one) for one in progress.epochs)
                in_order = [epochs[number] for number in sorted(epochs)]
                best = Best.of(in_order, until) if isinstance(until, Comparison) else Best()
                judgement = judge(until, progress, best, next_command("retry --all", run.journal))
                if judgement.verdict != "waiting":
                    break
                told = _tell(run, until, judgement, told)
    except _TimeOver:
        pass
    assert judgement is not None
    return judgement


class _TimeOver(Exception):
    """The time is over."""


def _until(deadline: float, interrupts: NoticedSignals) -> Callable[[float], None]:
    """Return what waits for some seconds, and ends the waiting when the time is over, or somebody wants it."""

    def wait(seconds: float) -> None:
        left = deadline - time.monotonic()
        interrupts.wait(min(seconds, left))
        if time.monotonic() >= deadline:
            raise _TimeOver

    return wait


def _tell(run: RecordedRun, until: Condition, judgement: Judgement, told: str) -> str:
    """Say what is waited for, unless that was said; return what was."""
    helps = _who_helps(run.journal, judgement.stage)
    if (now := f"{judgement.stage}; {helps}") != told:
        rest = f"; {helps}" if helps else ""
        click.echo(f"waiting until {run.name} is {_in_words(until)}: {judgement.why}{rest}", err=True)
    return now


def _who_helps(journal: Path, stage: str) -> str:
    """Return in words who makes it come true, or the command that does."""
    from journal.next_steps import next_command
    from journal.read_only import reading

    if stage == "unread":
        return f"`{next_command('verify', journal)}` does that"
    if stage not in {"nowhere", "untold", "pending", "beside"}:
        return ""
    with reading(journal) as opened:
        drains = opened.drains()
    if drains:
        more = f", and {count(len(drains) - 1, 'other')}" if len(drains) > 1 else ""
        return f"a drain is at work: process {drains[0].pid} on {drains[0].host}{more}"
    return f"no drain is at work: `{next_command('drain', journal)}` delivers it"


def _in_words(until: Condition) -> str:
    return until if isinstance(until, str) else f"at {until}"


def _end(run: RecordedRun, until: Condition, judgement: Judgement, timeout: float, *, as_json: bool) -> NoReturn:
    code = _ENDED.get(judgement.verdict, TIMED_OUT)
    verdict = judgement.verdict if judgement.verdict in _ENDED else "timed out"
    if as_json:
        names = {"exit_code": code, "run": run.id, "name": run.name, "until": str(until)}
        click.echo(json.dumps({**names, "outcome": verdict, "message": judgement.why}))
    elif code:
        waited = f" after {timeout:g} s" if code == TIMED_OUT else ""
        fail(f"{run.name} is not {_in_words(until)}{waited}: {judgement.why}", "wait", code, as_json=False)
    else:
        click.echo(f"{run.name} is {_in_words(until)}: {judgement.why}")
    sys.exit(code)
