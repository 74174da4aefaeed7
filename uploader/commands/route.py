"""`uploader route`: send a run under another project or name, or somewhere else, before a platform has taken it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.next_steps import next_command
from journal.quantities import count
from uploader.addresses import base_url
from uploader.commands.acting import Acting
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.phrases import place
from uploader.commands.run_completion import RunName
from uploader.commands.selection import named_destination, named_runs, where_runs_go
from uploader.errors import SettingsError
from uploader.keys import address_options
from uploader.platforms.registry import DEFAULT, NAMES

if TYPE_CHECKING:
    from journal import Journal
    from journal.outbox.redirecting import Redirected


_EPILOG = epilog(
    "route train-3 --project warehouse",
    "route 7c1f --project team/warehouse --name night-shift",
    "route --from http://gpu-sever:8765 --to http://gpu-server:8765",
)


@click.command(cls=Acting, epilog=_EPILOG)
@click.argument("run", metavar="RUN", required=False, type=RunName())
@click.option("--project", metavar="PROJECT", help="The project: its name, or OWNER/PROJECT for somebody else's.")
@click.option("--name", metavar="NAME", help="The run's new name.")
@click.option("--to", metavar="URL", help="Send the run here instead of to addresses where nothing of it was sent.")
@click.option(
    "--from", "origin", metavar="URL", help="With --to: replace only this address; without RUN, for all runs."
)
@click.option("--platform", type=click.Choice(NAMES), default=DEFAULT.name, help="What --to speaks.", show_default=True)
@journal_or_url_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def route(
    *,
    run: str | None,
    project: str | None,
    name: str | None,
    to: str | None,
    origin: str | None,
    platform: str,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Change the project, the name or the platform of a run that no platform has yet.

    RUN is a run's name or the beginning of its id. Use it for a run that waits, or that a platform refused because the
    key may not write to its project. A platform that has the run already keeps the name it knows: rename the model
    there. Names are spelled as the platform spells them: lower-case letters a-z, digits and hyphens.

    --to corrects an address that was mistyped when the run was recorded.
    """
    if (to is None) == (project is None and name is None):
        raise click.UsageError("say what is to change: --project, --name, or both; or where it is to go: --to")
    if (origin and not to) or not (run or origin):
        raise click.UsageError("name the RUN; --to sends all runs of an address elsewhere that --from names")
    if to is not None:
        click.echo(_redirected(run, platform, to, origin, journal, as_json=as_json))
    elif run is not None:
        click.echo(_renamed(run, project, name, journal, as_json=as_json))


def _redirected(
    run: str | None, platform: str, to: str, origin: str | None, journal: Path | None, *, as_json: bool
) -> str:
    """Send runs somewhere else; return what to print."""
    try:
        url = base_url(to)
    except SettingsError as error:
        raise click.UsageError(f"--to: {error}") from error
    with opened_journal(journal, "route", as_json=as_json) as opened:
        moved = _redirect(opened, [run] if run else [], platform, url, origin)
        drain = next_command("drain", opened.place)
    kept = f" {count(len(moved.kept), 'run')} of which something may have arrived there stay." if moved.kept else ""
    text = f"The next `{drain}` sends {count(len(moved.runs), 'run')} to {place(platform, url)} instead.{kept}"
    return json.dumps(asdict(moved)) if as_json else text


def _redirect(opened: Journal, names: list[str], platform: str, url: str, origin: str | None) -> Redirected:
    from journal.errors import UnknownRow

    origin_id = named_destination(opened, platform, origin) if origin else None
    chosen = named_runs(opened, names) or None
    try:
        return opened.redirect(chosen, platform, url, origin=origin_id)
    except UnknownRow as error:
        both = next_command(f"drain --to {address_options(platform, url)}", opened.place)
        raise UnknownRow(f"{error}; `{both}` sends them there too, and {where_runs_go(opened)}") from error


def _renamed(run: str, project: str | None, name: str | None, journal: Path | None, *, as_json: bool) -> str:
    """Give a run another project or name; return what to print."""
    from uploader.slugs import project_slug, run_slug

    chosen = {"project": project and project_slug(project), "name": name and run_slug(name)}
    if project is not None and chosen["project"] is None:
        raise click.UsageError(f"--project {project!r} has no letter or digit that a platform keeps")
    with opened_journal(journal, "route", as_json=as_json) as opened:
        (run_id,) = named_runs(opened, [run])
        renamed = opened.rename(run_id, **chosen)
        drain = next_command("drain", opened.place)
        again = _way_back(opened, run_id)
    named = f"{renamed.run.project or 'the default project'}/{renamed.run.name}"
    kept = f" {' and '.join(renamed.kept)} has it already and keeps what it calls it." if renamed.kept else ""
    text = f"The next `{drain}` announces the run as {named}.{kept}"
    if again:
        text = f"The run is {named} now. It was dropped, so no drain announces it until `{again}` resumes it."
    return json.dumps(asdict(renamed)) if as_json else text


def _way_back(opened: Journal, run_id: str) -> str | None:
    """Return the command that resumes a run that was dropped everywhere; None for any other run."""
    targets = next(run.targets for run in opened.report() if run.id == run_id)
    if not targets or any(target.dropped_at is None for target in targets):
        return None
    return next_command(
        f"drain --to {address_options(targets[0].platform, targets[0].base_url or 'URL')}", opened.place
    )
