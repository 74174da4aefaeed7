"""`uploader status`: what the journal holds, and what has arrived of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uploader.commands.shared import journal_option, opened_journal

if TYPE_CHECKING:
    from journal.report import RunReport, TargetReport

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.command()
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(journal: Path | None, as_json: bool) -> None:
    """Show runs, and what of them is pending, delivered or refused."""
    with opened_journal(journal, "status") as opened:
        folder, runs = opened.path, opened.report()
    if as_json:
        click.echo(json.dumps({"journal": str(folder), "runs": [asdict(run) for run in runs]}))
    else:
        click.echo("\n".join([f"journal {folder}: {len(runs)} runs", *map(_run, runs)]))


def _run(run: RunReport) -> str:
    name = f"{run.project}/{run.name}" if run.project else run.name
    head = f"\n{name}  {run.id}\n  {run.state}, {run.epochs} epochs, {run.events} events"
    return "\n".join([head, *(f"  {_target(target)}" for target in run.targets or ())]) + _unrouted(run)


def _unrouted(run: RunReport) -> str:
    return "" if run.targets else "\n  goes nowhere yet; the next drain sends it to the configured platform"


def _target(target: TargetReport) -> str:
    parts = [f"{target.base_url}: {target.delivered} delivered"]
    if target.pending:
        parts.append(f"{target.pending} pending ({_size(target.pending_bytes)})")
    if target.unplanned:
        parts.append(f"{target.unplanned} events not yet planned")
    if target.dead:
        parts.append(f"{target.dead} dead letters")
    if target.superseded:
        parts.append(f"{target.superseded} superseded")
    if target.oldest_at:
        parts.append(f"oldest {_age(target.oldest_at)}")
    lines = [", ".join(parts)]
    if target.pending and target.next_attempt_at:
        lines.append(f"next attempt {_when(target.next_attempt_at)}")
    if target.reason:
        lines.append(f"refused as a whole: {target.reason}")
    elif target.last_error:
        lines.append(f"last error: {target.last_error}")
    return "\n    ".join(lines)


def _seconds_from_now(moment: str) -> float:
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (then - datetime.now(timezone.utc)).total_seconds()


def _age(moment: str) -> str:
    return _span(-_seconds_from_now(moment))


def _when(moment: str) -> str:
    seconds = _seconds_from_now(moment)
    return "with the next drain" if seconds <= 0 else f"in {_span(seconds)}"


def _span(seconds: float) -> str:
    """Return a time span in its largest whole unit."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return "0 s"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
