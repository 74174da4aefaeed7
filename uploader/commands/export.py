"""`uploader export`: what a run's epochs measured, in the formats of others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from journal.disk import replacing
from uploader.commands.dialogue import JOURNAL_UNUSABLE, USAGE, fail
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.run_argument import RUN_IN_WORDS, chosen_run, run_argument
from uploader.errors import SettingsError
from uploader.exporting.table_text import Columns, as_csv, as_json_lines, as_results

if TYPE_CHECKING:
    from uploader.reports.recorded_runs import RecordedRun

_TEXTS: dict[str, Callable[[Columns], str]] = {"csv": as_csv, "jsonl": as_json_lines, "results.csv": as_results}
_FOLDER, _PAGE = "tensorboard", "html"
_CODES = """
   0  written
   1  the journal cannot be used or is not there, or the output not be written
   2  the arguments cannot be used, or name no run, or several
   3  the journal has no epoch of the run; nothing was written
  74  the standard output was lost"""
_NOTHING = 3
_HELP = f"""Write what a run's epochs measured, for spreadsheets, scripts and other tools; it may still be training.

{RUN_IN_WORDS}

\b
csv          a row an epoch, numbers with all their digits
jsonl        an object an epoch, a line each
html         its page of `view` as one file, with curves, plots, console and arguments
results.csv  as the trainer's own file: epochs from 1, six digits
tensorboard  a folder that `tensorboard --logdir` shows

In csv, jsonl and tensorboard, epochs count from 0, as in the journal; what any other loop has logged has its own steps.
A value that an epoch did not tell, or that was no finite number, is empty or left out.
"""


@click.command(
    help=_HELP,
    epilog=epilog(
        "export demo/t1 > t1.csv",
        "export latest --format results.csv -o results.csv",
        "export t1 --format html -o t1.html",
        "export t1 --format tensorboard -o boards/t1",
        codes=_CODES,
    ),
)
@run_argument
@click.option(
    "--format",
    "how",
    type=click.Choice([*_TEXTS, _PAGE, _FOLDER]),
    default="csv",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--output",
    "out",
    metavar="PATH",
    type=File(allow_dash=True),
    help="The file to write, for tensorboard the folder; the standard output by default, as by -.",
)
@click.option("--evaluation", is_flag=True, help="With the final evaluation as the last row, where there is one.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@journal_or_url_option
def export(run: str, *, how: str, out: Path | None, evaluation: bool, force: bool, journal: Path | None) -> None:
    """Write what a run's epochs measured."""
    out = None if out == Path("-") else out
    if how == _FOLDER and out is None:
        _refuse("tensorboard needs a folder: --output FOLDER")
    if out is not None and (why := _taken(out, how, force=force)):
        _refuse(f"{out} {why}")
    with chosen_run(run, journal, "export") as chosen:
        columns = chosen.metrics(evaluation=evaluation)
        pruned = not columns["epoch"] and chosen.status().pruned
        content = _page(chosen) if how == _PAGE else None
    if content is None and not columns["epoch"]:
        why = "; those of before were pruned" if pruned else ""
        fail(f"{chosen.name} has no epoch in the journal{why}", "export", _NOTHING, as_json=False)
    try:
        if how == _FOLDER and out is not None:
            _write_folder(columns, out)
        else:
            _write(content or _TEXTS[how](columns).encode("utf-8", "surrogatepass"), out)
    except SettingsError as error:
        _refuse(str(error))
    except OSError as error:
        fail(f"{out} could not be written: {error.strerror or error}", "export", JOURNAL_UNUSABLE, as_json=False)


def _taken(out: Path, how: str, *, force: bool) -> str | None:
    """Return why a place cannot be written to, and what may be done about it."""
    if how == _FOLDER:
        is_taken = out.exists() and not (out.is_dir() and not any(out.iterdir()))
        return "is there already; name another one" if is_taken else None
    if out.is_dir():
        return "is a folder; name a file"
    return "is there already; --force replaces it" if out.is_file() and not force else None


def _page(run: RecordedRun) -> bytes:
    try:
        from uploader.viewing.journal_source import JournalSource
        from uploader.viewing.page_file import whole_page
    except ImportError as error:
        _refuse(f"{error.name} is missing: pip install 'offline-uploader[serve]'")
    with closing(JournalSource(run.journal)) as source:
        return whole_page(source, run.id, run.name)


def _write_folder(columns: Columns, out: Path) -> None:
    from uploader.exporting.tensorboard_file import write_events

    write_events(columns, out)


def _write(content: bytes, out: Path | None) -> None:
    if out is None:
        click.echo(content.decode("utf-8", "surrogatepass"), nl=False)
    elif out.exists() and not out.is_file():  # a pipe, or a device
        out.write_bytes(content)
    else:
        with replacing(out) as file:
            file.write(content)


def _refuse(why: str) -> NoReturn:
    fail(why, "export", USAGE, as_json=False)
