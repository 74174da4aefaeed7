"""`uploader describe`: what a platform is to say of a run's model."""

from __future__ import annotations

from pathlib import Path

import click

from uploader.commands.acting import Acting
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_option
from uploader.commands.run_completion import RunName
from uploader.commands.wanting import say_wanted
from uploader.platforms.registry import licenses

_EPILOG = epilog(
    'describe train-3 --description "Night shift, camera 4" --license AGPL-3.0',
    "describe latest --tag night --tag camera-4",
    "drain",
)


@click.command(cls=Acting, epilog=_EPILOG)
@click.argument("run", metavar="RUN", type=RunName())
@click.option("--description", metavar="TEXT", help="Its description; an empty one removes what is there.")
@click.option("--license", type=click.Choice(licenses()), metavar="NAME", help="Its licence, such as AGPL-3.0.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; several times for several.")
@click.option("--no-tags", is_flag=True, help="Remove the tags that are there.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def describe(
    *,
    run: str,
    description: str | None,
    license: str | None,
    tags: tuple[str, ...],
    no_tags: bool,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Set the description, the licence or the tags of a run's model.

    RUN is a run's name, project/name, the beginning of its id, its folder, or latest. No network is needed: it is
    recorded in the journal, and the drain does it once all that was recorded of the run before has arrived. What is set
    again before that is sent once, as it was set last. Tags replace those that are there; they are kept in the model's
    metadata. A platform that has no such thing, like HUB, refuses it: `status` shows the reason. A text that holds what
    looks like a key or a password is refused here.
    """
    if tags and no_tags:
        raise click.UsageError("give --tag or --no-tags")

    def record() -> Wanted:
        chosen = None if not (tags or no_tags) else list(tags)
        return intents.describe(run, description=description, license=license, tags=chosen, journal=journal)

    from uploader import intents
    from uploader.intents import Wanted

    say_wanted(record, "describe", journal, "sets {}", as_json=as_json)
