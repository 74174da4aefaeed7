"""`uploader pack`: what is undelivered, in one file, for a machine that can reach the platform."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import click

from journal.quantities import count, readable
from uploader.commands.acting import Acting
from uploader.commands.dialogue import USAGE, fail
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_option
from uploader.commands.packs import require_file
from uploader.commands.progress_bars import byte_bar
from uploader.commands.run_completion import RunName
from uploader.commands.selection import named_runs

NOTHING = 3
_CODES = """
  0  done
  1  the journal cannot be used or is not there, or the file not be written
  2  the arguments cannot be used, or name nothing in the journal
  3  everything has arrived; no file was written"""


@click.command(
    cls=Acting, epilog=epilog("pack runs.pack", "pack runs.pack --run train-3", "pack runs.pack --force", codes=_CODES)
)
@click.argument("out", type=File(dir_okay=False))
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    type=RunName(),
    help="Only this run, even if all of it has arrived.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there; of a link, the file that it leads to.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pack(*, out: Path, runs: tuple[str, ...], force: bool, journal: Path | None, as_json: bool) -> NoReturn:
    """Make one file OUT of what is undelivered, for a machine that can reach the platform.

    There, `drain OUT --receipts FILE` delivers it; back here, `receipts FILE` marks what has arrived. Trainings may go
    on meanwhile: the file holds what was recorded up to one moment, and the next one holds what came after. Runs go
    whole, checkpoints as far as they have not arrived. There is no key in it.
    """
    out = out.absolute()
    require_file(out, "OUT")
    if out.exists() and not force:
        fail(f"{out} is there already; --force replaces it", "pack", USAGE, as_json=as_json)
    with opened_journal(journal, "pack", as_json=as_json) as opened, ExitStack() as stack:
        from journal.packs import archive, contents

        opened.fallbacks.ingest()
        opened.salvage()
        opened.note_interrupted()
        chosen = named_runs(opened, runs) if runs else None
        collected = contents.collect(stack, opened, chosen)
        if collected.runs:
            with byte_bar("packing", collected.size, shown=not as_json) as bar:
                archive.write(collected, out, opened.uuid, bar)
    values = {
        "file": str(out) if collected.runs else None,
        "runs": len(collected.runs),
        "events": collected.events,
        "checkpoints": len(collected.files),
        "bytes": out.stat().st_size if collected.runs else 0,
    }
    text = "everything has arrived, so nothing was packed"
    if collected.runs:
        what = f"{count(collected.events, 'event')}, {count(len(collected.files), 'checkpoint')}"
        text = f"{out}: {count(len(collected.runs), 'run')}, {what}, {readable(out.stat().st_size)}"
    click.echo(json.dumps(values) if as_json else text)
    sys.exit(0 if collected.runs else NOTHING)
