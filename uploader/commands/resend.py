"""`uploader resend`: send runs again whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.next_steps import next_command
from journal.quantities import count
from uploader.addresses import is_same_place, shown
from uploader.commands.acting import Acting
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.phrases import place
from uploader.commands.run_completion import RunName
from uploader.commands.selection import named_runs

if TYPE_CHECKING:
    from journal import Journal
    from journal.records import Target


@click.command(cls=Acting, epilog=epilog("resend train-3", "resend --all --to http://127.0.0.1:8765", "drain"))
@click.argument("runs", metavar="RUN...", nargs=-1, type=RunName())
@click.option("--all", "everything", is_flag=True, help="All runs.")
@click.option("--to", metavar="URL", help="Only to this platform.  [default: wherever each run goes]")
@journal_or_url_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def resend(*, runs: tuple[str, ...], everything: bool, to: str | None, journal: Path | None, as_json: bool) -> None:
    """Send runs again from their first event, as to a platform that has lost its data.

    RUN is a run's name or the beginning of its id. The next drain does the sending. If the platform still has the
    run's model, that model is updated, and stays cancelled if it was; otherwise a new one is created. Dead letters are
    sent again too. Nothing appears twice on a platform that has the data already.
    """
    if everything == bool(runs):
        raise click.UsageError("name the RUNs to send again, or give --all")
    with opened_journal(journal, "resend", as_json=as_json) as opened:
        chosen = list(_chosen(opened, runs, to))
        sent = [{"run": one.run.id, "to": one.destination.base_url, "events": _resend(opened, one)} for one in chosen]
        drain = next_command("drain", opened.place)
    lines = [f"{one.run.name} to {place(one.destination.platform, one.destination.base_url)}" for one in chosen]
    text = "\n  ".join([f"Sent again by the next `{drain}`: {count(len(lines), 'run')}", *lines])
    click.echo(json.dumps({"resent": sent}) if as_json else text)


def _resend(opened: Journal, target: Target) -> int:
    return opened.resend(target.run.id, target.destination.id)


def _chosen(opened: Journal, names: tuple[str, ...], to: str | None) -> Iterator[Target]:
    """Yield each run at each of its destinations; all of it is there to be sent.

    Raises:
        UnknownRow: A word names no run; none of them goes there; or a run was pruned, and would arrive in part.
    """
    from journal.errors import UnknownRow

    runs = set(named_runs(opened, names))
    pruned = {run.id: run.name for run in opened.report() if run.pruned}
    with closing(opened.outbox()) as outbox:
        targets = outbox.routes.targets(run_ids=sorted(runs) if names else None, dropped=True)
    found = [one for one in targets if to is None or is_same_place(one.destination.base_url, to)]
    if names and (lost := [pruned[run] for run in sorted(runs) if run in pruned]):
        raise UnknownRow(f"the events of {', '.join(lost)} were pruned after they had arrived; nothing is left to send")
    whole = [one for one in found if one.run.id not in pruned]
    if not whole:
        where = f" to {shown(to)}" if to else " anywhere yet"
        raise UnknownRow(
            f"none of these runs goes{where}; `{next_command('status', opened.place)}` lists where they go"
        )
    yield from whole
