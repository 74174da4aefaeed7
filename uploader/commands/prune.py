"""`uploader prune`: free space by deleting what has arrived."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.dialogue import ask, require_yes
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.progress_bars import byte_bar
from uploader.commands.spans import age_given
from uploader.delivery.draining import settings_for
from uploader.run_selection import full_name

if TYPE_CHECKING:
    from journal import Journal
    from uploader.settings import Settings


def proven_now(opened: Journal, candidates: Collection[str], settings: Settings, *, shown: bool) -> set[str]:
    """Read runs back, checkpoints included, and return those of which everything is proven wherever they go.

    What was found earlier does not count: only the platform knows what it has lost since.
    """
    from uploader.verification.runs import verify_targets

    with closing(opened.outbox()) as outbox:
        targets = outbox.routes.targets(run_ids=sorted(candidates))
    bar = partial(byte_bar, shown=shown)
    proven = dict.fromkeys(candidates, True)
    for found in verify_targets(opened, targets, deep=True, bar=bar, settings=settings):
        is_proven = found.is_right and not found.counts["unreadable"]
        proven[found.target.run.id] &= is_proven
    return {run_id for run_id, is_proven in proven.items() if is_proven}


@click.command(
    cls=Acting, epilog=epilog("prune", "prune --older-than 30d --dry-run", "prune --verified", "prune --given-up")
)
@click.option(
    "--older-than",
    callback=age_given,
    metavar="AGE",
    default="0s",
    help="Only runs that ended at least so long ago: 12h, 30d.",
)
@click.option(
    "--given-up", is_flag=True, help="Also delete runs that `drop --to` dropped everywhere; what never arrived is lost."
)
@click.option(
    "--verified",
    is_flag=True,
    help="Only runs that are read back now, checkpoints included, and of which everything is proven everywhere.",
)
@click.option("--yes", is_flag=True, help="With --given-up: do it without asking.")
@click.option("--dry-run", is_flag=True, help="Only list the runs that would be pruned; nothing is deleted.")
@journal_or_url_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prune(
    *,
    older_than: timedelta,
    given_up: bool,
    verified: bool,
    yes: bool,
    dry_run: bool,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Delete the events and checkpoints of runs that have arrived completely, everywhere they go.

    Runs that are still training, or may be (`silent` ones), runs with anything pending or dead, and runs that were
    dropped everywhere are kept. A pruned run can still be resumed: the journal keeps the platform's ids. To be able to
    prove it later, `prove` it before.
    """
    from journal.clock import utc_now

    if given_up and verified:
        raise click.UsageError(
            "--given-up deletes what never arrived, --verified only what is proven; give one of them"
        )
    if given_up and not dry_run:
        require_yes("prune", yes=yes, as_json=as_json)
        ask("Delete runs that were dropped, with everything of them that never arrived?", yes=yes)
    with opened_journal(journal, "prune", as_json=as_json, may_be_none=True) as opened:
        before, kept = utc_now() - older_than, 0
        only = None
        if verified:
            candidates = opened.prunable(before)
            only = proven_now(opened, candidates, settings_for(journal), shown=not as_json)
            kept = len(set(candidates) - only)
        if dry_run:
            _tell(opened, _chosen(opened.prunable(before, given_up=given_up), only), as_json=as_json)
            return
        pruned = opened.prune(before, given_up=given_up, only=only)
    what = f"{count(pruned.events, 'event')}, {count(pruned.blobs, 'checkpoint')} ({count(pruned.bytes, 'byte')})"
    rest = f"; {count(kept, 'run')} kept, of which not everything is proven: `verify` names it" if kept else ""
    text = f"{count(pruned.runs, 'run')} pruned: {what}{rest}"
    click.echo(json.dumps({**asdict(pruned), **({"unproven": kept} if verified else {})}) if as_json else text)


def _chosen(candidates: Collection[str], only: Collection[str] | None) -> set[str]:
    return {one for one in candidates if only is None or one in only}


def _tell(opened: Journal, chosen: Collection[str], *, as_json: bool) -> None:
    """List the runs that would be pruned."""
    with closing(opened.outbox()) as outbox:
        runs = [run for run in outbox.routes.runs() if run.id in chosen]
    if as_json:
        named = [{"id": run.id, "project": run.project, "name": run.name} for run in runs]
        click.echo(json.dumps({"dry_run": True, "runs": named}))
        return
    click.echo(f"{count(len(runs), 'run')} would be pruned{':' if runs else ''}")
    for run in runs:
        click.echo(f"  {full_name(run)} ({run.id[:8]})")
