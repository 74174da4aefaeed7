"""`uploader receipts`: mark what was delivered elsewhere as delivered."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors, opened_journal
from uploader.commands.journal_option import journal_option

SOME_REFUSED = 4
_CODES = """
  0  done
  1  the journal or a file cannot be used; nothing was taken in
  2  the arguments cannot be used
  4  some receipts do not fit what is recorded here: the message says which
     and why. All others were taken in"""


@click.command(
    cls=Acting, epilog=epilog("receipts runs.receipts", "receipts a.receipts b.receipts --json", codes=_CODES)
)
@click.argument("files", nargs=-1, required=True, type=File(exists=True, dir_okay=False))
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def receipts(*, files: tuple[Path, ...], journal: Path | None, as_json: bool) -> NoReturn:
    """Mark what was delivered elsewhere as delivered: FILES are what `drain --receipts` has written there.

    It is not sent again from here, and what is recorded later goes to the same models. Receipts of runs that this
    journal does not have are passed over. A receipt counts for exactly the events that were delivered, of this run, at
    this address.
    """
    with opened_journal(journal, "receipts", as_json=as_json) as opened, journal_errors("receipts", as_json=as_json):
        from journal.packs import receipts as packed

        opened.fallbacks.ingest()
        every = [one for file in files for one in packed.read(file)]
        taken = packed.take_in(opened, every)
    if as_json:
        click.echo(json.dumps(asdict(taken)))
    else:
        others = f"; {count(taken.others, 'run')} of other journals passed over" if taken.others else ""
        known = f"{count(taken.delivered, 'delivery')} of {count(taken.runs, 'run')} newly known to have arrived"
        click.echo("\n".join([known + others, *(f"does not count: {why}" for why in taken.refused)]))
    sys.exit(SOME_REFUSED if taken.refused else 0)
