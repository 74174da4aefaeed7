"""What `uploader status` shows a person of one journal: of each run and platform, what is in the way and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.clock import to_the_second
from journal.mirror.mirror_state import MirrorState, states
from journal.next_steps import next_command
from journal.quantities import count, readable
from uploader.addresses import shown
from uploader.commands.phrases import an_earlier_journal, in_fallback_files, of_another_journal, on_epochs, place
from uploader.commands.spans import age, span
from uploader.commands.status_obstacles import NOWHERE, helpful, obstacles, oddities, read_back
from uploader.delivery.draining import settings_for
from uploader.errors import SettingsError
from uploader.keys import address_options
from uploader.reports.journal_status import epochs_of
from uploader.settings import Settings

if TYPE_CHECKING:
    from journal.read_only import JournalState, View
    from journal.reading.drain_at_work import DrainAtWork, DrainProgress
    from journal.reading.report import RunReport, TargetReport

_TOLD = 3
"""Of so many drains it is told what they do."""


def as_text(view: View, runs: Iterable[RunReport], limit: int | None) -> str:
    """Return all that is known of runs.

    Args:
        view: What the journal holds.
        runs: Those of its runs that were asked for.
        limit: Its size limit in bytes, if that is known.
    """
    return "\n".join([head(view, len(view.runs), limit), drains_in_words(view.drains), in_full(view, runs)])


def in_full(state: JournalState, runs: Iterable[RunReport]) -> str:
    """Return all that is known of runs, after an empty line each, and what else there is."""
    settings, mirrors = settings_of_next_drain(state), states(state.path)
    told = (_run(run, state, settings) + _mirrors(run, mirrors.get(run.id, ())) for run in runs)
    return "\n".join([*told, *(f"\n{line}" for line in beside_it(state))])


def head(state: JournalState, runs: int, limit: int | None) -> str:
    """Return where a journal is, how many runs it has and how large it is."""
    size = (
        readable(state.bytes)
        if limit is None or state.is_shared
        else f"{readable(state.bytes)} of at most {readable(limit)}"
    )
    return f"journal {state.name}: {count(runs, 'run')}, {size}"


def beside_it(state: JournalState) -> Iterator[str]:
    """Yield what else there is that this journal does not hold, and how that gets delivered."""
    from journal.locations import earlier_journal

    if state.fallbacks:
        yield in_fallback_files(state.fallbacks, state.path)
    for other, number in state.fallbacks_elsewhere.items():
        yield of_another_journal(number, other)
    if found := earlier_journal(state.path):
        yield an_earlier_journal(found)


def drains_in_words(drains: Sequence[DrainAtWork]) -> str:
    """Return which drains are at work, the first one with what is in its way, of many others how many."""
    told = [drain_in_words(one) for one in drains[:_TOLD]] or [drain_in_words(None)]
    more = [f"{len(drains) - _TOLD} more drains are at work"] if len(drains) > _TOLD else []
    return "\n".join([*told, *more])


def drain_in_words(found: DrainAtWork | None) -> str:
    """Return which drain is at work, and what is in its way."""
    if found is None:
        return "no drain is at work"
    kind = "a drain beside the trainings" if found.is_background else "a drain"
    log = f"; it prints to {found.log}" if found.log else ""
    far = [_how_far(found.progress)] if found.progress else []
    return "\n  ".join([f"{kind} is at work: {found.in_words}{log}", *far, *found.warnings])


def _how_far(progress: DrainProgress) -> str:
    done = f"{count(progress.delivered, 'delivery')} made ({readable(progress.bytes)})"
    if not progress.left:
        return f"{done}, nothing is left"
    known = progress.seconds_left is not None
    wait = f", done in about {span(progress.seconds_left or 0)}" if known else ", none lately"
    return f"{done}, about {progress.left} left{wait}"


def settings_of_next_drain(state: JournalState) -> Settings | None:
    """Return the settings that a drain would find here; None where one is at work, which has settings of its own.

    None, with a message, also where they cannot be used, as the journal is shown in any case.
    """
    if state.drain is not None:
        return None
    try:
        return settings_for(state.path)
    except SettingsError as error:
        click.echo(f"uploader status: {error}", err=True)
        return None


def _run(run: RunReport, view: JournalState, settings: Settings | None) -> str:
    name = f"{run.project}/{run.name}" if run.project else run.name
    told = f"silent since {to_the_second(run.last_sign_at)}" if run.state == "silent" else run.state
    state = f"{told}, pruned; since then" if run.pruned else f"{told},"
    head = f"\n{name}  {run.id}\n  {state} {count(run.epochs, 'epoch')}, {count(run.events, 'event')}"
    targets = (_target(target, view.path, settings, run) for target in run.targets)
    lines = [*on_epochs(run.state, **epochs_of(run, view)), *oddities(run), *targets]
    return "\n".join([head, *(f"  {line}" for line in lines)]) + _unrouted(run)


def _mirrors(run: RunReport, mirrors: Sequence[MirrorState]) -> str:
    """Return how far the run is mirrored, and what keeps the rest from it."""
    lines = []
    for one in mirrors:
        waiting, why = max(0, run.events - one.events), f"; cannot be used: {one.error}" if one.error else ""
        parts = [*([count(waiting, "event")] if waiting else [])]
        parts += [count(one.missing, "checkpoint")] if one.missing else []
        wait = f"; {' and '.join(parts)} not yet, tried {age(one.tried_at)} ago" if parts else ""
        lines.append(f"\n  {one.in_words}{wait}{why}")
    return "".join(lines)


def _unrouted(run: RunReport) -> str:
    return "" if run.targets else f"\n  {NOWHERE}"


def _target(target: TargetReport, folder: Path, settings: Settings | None, run: RunReport) -> str:
    lines = [_numbers(target, pruned=run.pruned)]
    if target.dropped_at:
        command = next_command(f"drain --to {address_options(target.platform, target.base_url or 'URL')}", folder)
        resumable = f"; `{command}` resumes it" if not run.pruned or target.state != "new" else ""
        lines.append(f"dropped on {target.dropped_at[:10]}{resumable}")
        return "\n    ".join(lines)
    lines += obstacles(target, helpful(folder), settings)
    if told := read_back(target, folder, pruned=run.pruned, named=run.id[:8]):
        lines.append(told)
    if target.page:
        lines.append(f"View model at {shown(target.page)}")
    return "\n    ".join(lines)


def _numbers(target: TargetReport, *, pruned: bool) -> str:
    since = " since it was pruned" if pruned else ""
    parts = [f"{place(target.platform, target.base_url)}: {target.delivered} delivered{since}"]
    if target.pending:
        parts.append(f"{target.pending} pending ({readable(target.pending_bytes)})")
    if target.unplanned:
        parts.append(f"{count(target.unplanned, 'event')} not yet planned")
    if target.dead:
        parts.append(count(target.dead, "dead letter"))
    if target.superseded:
        parts.append(f"{target.superseded} superseded")
    if target.dropped:
        parts.append(f"{target.dropped} dropped")
    if target.oldest_at:
        parts.append(f"oldest {age(target.oldest_at)}")
    return ", ".join(parts)
