"""`uploader route`: give a run another project or name before a platform has taken it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.wording import next_command
from uploader.commands.shared import journal_option, named_runs, opened_journal
from uploader.keys import address_options

if TYPE_CHECKING:
    from journal import Journal


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--project", metavar="PROJECT", help="The project: its name, or OWNER/PROJECT for somebody else's.")
@click.option("--name", metavar="NAME", help="What the run is to be called in it.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def route(*, run: str, project: str | None, name: str | None, journal: Path | None, as_json: bool) -> None:
    r"""Give a run that waits, or was refused, another project or name.

    RUN is its name, or the beginning of its id. A run that a platform refused as a whole, because its key may not write
    to that project, may go on under the new one. A platform that has taken the run already keeps what it calls it:
    rename the model there. Names are spelled as the platform does it: lower case, a-z, digits and hyphens.

    \b
    Examples:
      python -m uploader route train-3 --project warehouse
      python -m uploader route 7c1f --project team/warehouse --name night-shift
    """
    if project is None and name is None:
        raise click.UsageError("say what is to change: --project, --name, or both")
    from uploader.callbacks.slugs import project_slug, run_slug

    chosen = {"project": project and project_slug(project), "name": name and run_slug(name)}
    if project is not None and chosen["project"] is None:
        raise click.UsageError(f"--project {project!r} has no letter or digit that a platform keeps")
    with opened_journal(journal, "route", as_json=as_json) as opened:
        (run_id,) = named_runs(opened, [run])
        renamed = opened.rename(run_id, **chosen)
        drain = next_command("drain", opened.path)
        again = _way_back(opened, run_id)
    place = f"{renamed.run.project or 'the default project'}/{renamed.run.name}"
    kept = f" {' and '.join(renamed.kept)} has it already and keeps what it calls it." if renamed.kept else ""
    text = f"The next `{drain}` announces the run as {place}.{kept}"
    if again:
        text = f"The run is {place} now. It was given up, so no drain announces it until `{again}` takes it up again."
    click.echo(json.dumps(asdict(renamed)) if as_json else text)


def _way_back(opened: Journal, run_id: str) -> str | None:
    """Return the command that takes up a run which was given up everywhere; None for any other run."""
    targets = next(run.targets for run in opened.report() if run.id == run_id)
    if not targets or any(target.dropped_at is None for target in targets):
        return None
    return next_command(f"drain --to {address_options(targets[0].platform, targets[0].base_url or 'URL')}", opened.path)
