"""`uploader show`: one run at a glance."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.shared_addresses import told
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.run_argument import RUN_IN_WORDS, chosen_run, run_argument

if TYPE_CHECKING:
    from journal.reading.run_reader import RunContents
    from uploader.commands.curves import Look
    from uploader.reports.recorded_runs import RecordedRun

EPOCHS = 200
"""So many are drawn, which is more than the dots of a chart."""
_MOST_LISTED = 100
_NARROWEST = 40
_HELP = f"""Show one run at a glance: its state, its curves, how many images and plots it has, the end of its
console, its checkpoints and deliveries.

{RUN_IN_WORDS}

Deliveries that were refused, that fail or that wait come first, with the reason; a key that is refused, or a platform
that is away, is said once, with the next step. It only reads, so it is safe beside a training and a drain. `logs`
prints all of the console, `status` shows all runs.
"""


@click.command(help=_HELP, epilog=epilog("show", "show demo/t1", "show runs/detect/train --all", "show --json"))
@run_argument
@click.option("--all", "everything", is_flag=True, help="Leave no metric, checkpoint or delivery out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the values of all epochs.")
@journal_or_url_option
def show(run: str, *, everything: bool, as_json: bool, journal: Path | None) -> None:
    """Show one run at a glance."""
    with chosen_run(run, journal, "show", as_json=as_json) as chosen:
        most = None if everything else _MOST_LISTED
        found = chosen.contents(epochs=None if as_json else EPOCHS, lines=_MOST_LISTED, deliveries=most)
    if as_json:
        click.echo(json.dumps(as_values(chosen, found)))
        return
    from journal.next_steps import next_command
    from uploader.commands.show_text import Wanted, as_text

    look = _look()
    text = as_text(chosen.run, found, Wanted(look, next_command("drain", chosen.journal), all=everything))
    click.echo(_in_ascii(text) if look.is_ascii else text, color=_colour())


def as_values(run: RecordedRun, found: RunContents) -> dict[str, Any]:
    """Return what `--json` prints.

    Args:
        run: The run.
        found: What the journal holds of it.
    """
    from journal.reading.logged_media import IMAGE, PLOT
    from journal.reading.recorded_epochs import columns, trained_epochs

    return {
        "journal": told(run.journal),
        **asdict(found.report),
        "times": asdict(found.times),
        "missing_epochs": list(found.missing_epochs),
        "metrics": columns(trained_epochs(found.epochs)),
        "console": [chunk.text for chunk in found.console if chunk.text],
        "checkpoints": [asdict(one) for one in found.checkpoints],
        "deliveries": [asdict(one) for one in found.deliveries],
        "deliveries_by_state": dict(found.deliveries_by_state),
        "verifications": [asdict(one) for one in found.verifications],
        "signed_heads": [asdict(one) for one in found.signed_heads],
        "intents": [asdict(one) for one in found.intents],
        "images": found.media.get(IMAGE, 0),
        "plots": found.media.get(PLOT, 0),
    }


def _look() -> Look:
    from uploader.commands.curves import Look

    columns = max(_NARROWEST, shutil.get_terminal_size().columns)
    try:
        "⠿…".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return Look(columns, is_ascii=True)
    return Look(columns)


def _in_ascii(text: str) -> str:
    return text.replace("…", "~")


def _colour() -> bool | None:
    """Return False where the environment wants no colours; else it is the terminal's business."""
    from uploader.settings import wants_colours

    return None if wants_colours() else False
