"""`uploader mirror`: copy a journal to its mirror, or check a mirror."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from journal.quantities import count, readable
from uploader.commands.dialogue import USAGE, fail, require_yes
from uploader.commands.forgotten_runs import forget
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors, opened_journal
from uploader.commands.journal_option import journal_option
from uploader.commands.mirror_option import DAMAGED, counter, mirror_argument, opened_mirror
from uploader.commands.output_streams import work_goes_on
from uploader.commands.run_completion import RunName

if TYPE_CHECKING:
    from journal.mirror.checking import Checked

_CODES = """
  0  everything is in the mirror; with --check, nothing is wrong with it;
     with --forget, the runs are not in it any more
  1  the mirror or the journal cannot be used; the message says why
  2  the arguments cannot be used, or name nothing in the journal
  4  --check found something that is damaged or missing, or a checkpoint
     that a run needs is neither in the journal nor in the mirror
"""


@click.command(
    epilog=epilog(
        "mirror /mnt/mirror",
        "mirror --check /content/drive/MyDrive/mirror",
        "mirror s3://bucket/trainings --forget train-3",
        codes=_CODES,
    ),
)
@mirror_argument
@click.option("--check", is_flag=True, help="Read everything in the mirror back, and compare it with its digests.")
@click.option(
    "--forget", "forgotten", multiple=True, metavar="RUN", help="Delete this run from the mirror, after a question."
)
@click.option("--yes", is_flag=True, help="With --forget: do it without asking.")
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    type=RunName(),
    help="Only this run, by its name or the start of its id.",
)
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mirror(
    *,
    address: str,
    check: bool,
    forgotten: tuple[str, ...],
    yes: bool,
    runs: tuple[str, ...],
    journal: Path | None,
    as_json: bool,
) -> None:
    """Copy what the journal holds to its mirror, check a mirror, or delete runs from one.

    attach(mirror=...) mirrors a training while it runs; this command does the same for what is left, for runs that were
    recorded without a mirror, or to another mirror. Only what the mirror does not have is copied.

    --forget takes the name of a run in the mirror or the start of its id, and deletes the run there with the
    checkpoints that no other run has; journals keep theirs. Drains do not bring it back; a training that goes on with
    it does.
    """
    if forgotten:
        work_goes_on()
        if check or runs:
            fail("--forget deletes runs; leave out --check and --run", "mirror", USAGE, as_json=as_json)
        require_yes("mirror", yes=yes, as_json=as_json)
        forget(address, forgotten, yes=yes, as_json=as_json)
        return
    if check:
        if runs:
            fail("--check reads the whole mirror; leave out --run", "mirror", USAGE, as_json=as_json)
        _check(address, as_json=as_json)
    work_goes_on()
    _mirror(address, runs, journal, as_json=as_json)


def _check(address: str, *, as_json: bool) -> NoReturn:
    from journal.mirror.checking import check

    store = opened_mirror(address, "mirror", as_json=as_json)
    with journal_errors("mirror", as_json=as_json):
        checked = check(store, counter("objects", as_json=as_json))
    code = DAMAGED if checked.damaged or checked.missing else 0
    click.echo(json.dumps({"exit_code": code, **asdict(checked)}) if as_json else _as_text(checked))
    sys.exit(code)


def _as_text(checked: Checked) -> str:
    has = f"{count(checked.events, 'event')} in {count(checked.segments, 'segment')}"
    also = f"{count(checked.checkpoints, 'checkpoint')}, {readable(checked.bytes)}"
    found = [*(f"damaged: {what}" for what in checked.damaged), *(f"missing: {what}" for what in checked.missing)]
    head = f"{count(checked.runs, 'run')}, {has}, {also}: {'read back' if found else 'all read back, nothing is wrong'}"
    return "\n".join([head, *found])


def _mirror(address: str, names: tuple[str, ...], journal: Path | None, *, as_json: bool) -> NoReturn:
    from journal.mirror.mirror_addresses import open_store, require_outside
    from journal.mirror.mirroring import Mirroring
    from uploader.commands.selection import named_runs

    with opened_journal(journal, "mirror", as_json=as_json) as opened:
        try:
            require_outside(address, opened.path)
        except ValueError as error:
            fail(str(error), "mirror", USAGE, as_json=as_json)
        runs = named_runs(opened, names) if names else [run.id for run in opened.report()]
        mirroring = Mirroring(opened, open_store(address), runs)
        events = mirroring.step(is_last=True)
        states = [mirroring.state(run) for run in runs]
        for state in states:
            state.write(opened.path)
    code = DAMAGED if any(state.gone for state in states) else 0
    lines = [f"{count(events, 'event')} copied", *(f"run {state.run}: {state.in_words}" for state in states)]
    values = {"exit_code": code, "events": events, "runs": [asdict(state) for state in states]}
    click.echo(json.dumps(values) if as_json else "\n".join(lines))
    sys.exit(code)
