"""`uploader dataset`: have a platform have the dataset of a run."""

from __future__ import annotations

from pathlib import Path

import click

from uploader.commands.acting import Acting
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_option
from uploader.commands.run_completion import RunName
from uploader.commands.wanting import say_wanted
from uploader.platforms.registry import tasks

_EPILOG = epilog("dataset train-3 warehouse.zip", "dataset latest images.ndjson --name warehouse", "drain")


@click.command(cls=Acting, epilog=_EPILOG)
@click.argument("run", metavar="RUN", type=RunName())
@click.argument("file", metavar="FILE", type=File())
@click.option("--name", metavar="NAME", help="Of the dataset.  [default: that of the file]")
@click.option("--task", type=click.Choice(tasks()), metavar="TASK", help="Of a new dataset, such as detect or segment.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def dataset(*, run: str, file: Path, name: str | None, task: str | None, journal: Path | None, as_json: bool) -> None:
    """Upload the dataset of a run, and have its model name it.

    RUN is a run's name, project/name, the beginning of its id, its folder, or latest. FILE is an archive (.zip, .tar,
    .tar.gz, .tgz) or a list (.ndjson). No network is needed: its sha256 is recorded in the journal, and the drain
    uploads it once all that was recorded of the run before has arrived. FILE stays where it is: it is not copied, and
    must be there, unchanged, until then. What a dataset of this name has already is left as it is.
    """

    def record() -> Wanted:
        return intents.upload_dataset(run, file, name=name, task=task, journal=journal)

    from uploader import intents
    from uploader.intents import Wanted

    say_wanted(record, "dataset", journal, "uploads the dataset {}", as_json=as_json)
