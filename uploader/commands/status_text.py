"""What `uploader status` shows a person of one journal: of each run and platform, what is in the way and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.mirror.mirror_state import MirrorState, states
from journal.next_steps import drain_at, next_command
from journal.quantities import count, readable
from uploader.commands.journal_access import settings_for
from uploader.commands.phrases import an_earlier_journal, in_fallback_files, letters_in_words, on_epochs, place
from uploader.errors import KeyNotForHere, NoKey, SettingsError
from uploader.keys import address_options, key_for
from uploader.settings import Settings

if TYPE_CHECKING:
    from journal.read_only import View
    from journal.reading.drain_at_work import DrainAtWork
    from journal.reading.report import RunReport, TargetReport

_AT_ONCE = "with the next drain"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def as_text(view: View, limit: int | None) -> str:
    """Return the lines that a person reads.

    Args:
        view: What the journal holds.
        limit: Its size limit in bytes, if that is known.
    """
    from journal.reading.beside import earlier_journal

    settings = _settings(view.path)
    size = readable(view.bytes) if limit is None else f"{readable(view.bytes)} of at most {readable(limit)}"
    here = [f"\n{in_fallback_files(view.fallbacks, view.path)}"] if view.fallbacks else []
    elsewhere = (
        f"\n{count(number, 'fallback file')} of another journal; {drain_at(other)} takes them in"
        for other, number in view.fallbacks_elsewhere.items()
    )
    earlier = [f"\n{an_earlier_journal(found)}"] if (found := earlier_journal(view.path)) else []
    mirrors = states(view.path)
    runs = (_run(run, view, settings) + _mirrors(run, mirrors.get(run.id, ())) for run in view.runs)
    head = f"journal {view.path}: {count(len(view.runs), 'run')}, {size}"
    return "\n".join([head, _drain(view.drain), *runs, *here, *elsewhere, *earlier])


def _drain(found: DrainAtWork | None) -> str:
    if found is None:
        return "no drain is at work"
    kind = "a drain beside the trainings" if found.is_background else "a drain"
    log = f"; it prints to {found.log}" if found.log else ""
    return "\n  ".join([f"{kind} is at work: {found.in_words}{log}", *found.warnings])


def _settings(folder: Path) -> Settings | None:
    """Return the settings; None, with a message, when they cannot be used, as the journal is shown in any case."""
    try:
        return settings_for(folder)
    except SettingsError as error:
        click.echo(f"uploader status: {error}", err=True)
        return None


def epochs_of(run: RunReport, view: View) -> dict[str, Any]:
    """Return what is not known of a run, or not here: its end, and epochs by their numbers, from 0."""
    salvageable = list(view.salvageable_epochs.get(run.id, ()))
    missing = [number for number in view.missing_epochs.get(run.id, ()) if number not in salvageable]
    return {
        "end_unknown": run.is_end_unknown,
        "missing_epochs": missing,
        "salvageable_epochs": salvageable,
    }


def _run(run: RunReport, view: View, settings: Settings | None) -> str:
    name = f"{run.project}/{run.name}" if run.project else run.name
    state = f"{run.state}, pruned; since then" if run.pruned else f"{run.state},"
    head = f"\n{name}  {run.id}\n  {state} {count(run.epochs, 'epoch')}, {count(run.events, 'event')}"
    targets = (_target(target, view.path, settings, pruned=run.pruned) for target in run.targets)
    forks = [f"{count(run.forks, 'session')} continued it at the same time as another one; `doctor` names where"]
    slow = [f"the disk is slow: {count(run.unflushed, 'event')} might not survive a power cut yet"]
    named = [*(forks if run.forks else []), *(slow if run.unflushed else [])]
    lines = [*on_epochs(run.state, **epochs_of(run, view)), *named, *targets]
    return "\n".join([head, *(f"  {line}" for line in lines)]) + _unrouted(run)


def _mirrors(run: RunReport, mirrors: Sequence[MirrorState]) -> str:
    """Return how far the run is mirrored, and what keeps the rest from it."""
    lines = []
    for one in mirrors:
        waiting, why = max(0, run.events - one.events), f"; cannot be used: {one.error}" if one.error else ""
        parts = [*([count(waiting, "event")] if waiting else [])]
        parts += [count(one.missing, "checkpoint")] if one.missing else []
        wait = f"; {' and '.join(parts)} not yet, tried {_age(one.tried_at)} ago" if parts else ""
        lines.append(f"\n  {one.in_words}{wait}{why}")
    return "".join(lines)


def _unrouted(run: RunReport) -> str:
    return "" if run.targets else "\n  goes nowhere yet; the next drain sends it to the configured platform"


def _target(target: TargetReport, folder: Path, settings: Settings | None, *, pruned: bool) -> str:
    lines = [_numbers(target)]
    if target.dropped_at:
        command = next_command(f"drain --to {address_options(target.platform, target.base_url or 'URL')}", folder)
        resumable = f"; `{command}` resumes it" if not pruned or target.state != "new" else ""
        lines.append(f"dropped on {target.dropped_at[:10]}{resumable}")
        return "\n    ".join(lines)
    lines += _obstacles(target, folder, settings)
    return "\n    ".join(lines)


def _numbers(target: TargetReport) -> str:
    parts = [f"{place(target.platform, target.base_url)}: {target.delivered} delivered"]
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
        parts.append(f"oldest {_age(target.oldest_at)}")
    return ", ".join(parts)


def _obstacles(target: TargetReport, folder: Path, settings: Settings | None) -> Iterator[str]:
    """Yield what keeps the rest from being delivered."""
    waits = bool(target.pending or target.unplanned)
    retry = next_command("retry --all", folder)
    dead = [f"dead: {letters_in_words(target.dead_letters)}"] if target.dead else []
    if target.reason:
        yield f"refused as a whole: {target.reason}"
        yield from dead
        if waits:
            yield f"what was recorded since waits: remove the cause, then `{retry}`"
        return
    if waits and settings and (error := _no_key(target, settings)):
        yield f"paused: no key for it here; {error}" if isinstance(error, KeyNotForHere) else f"paused: {error}"
    elif target.pending and target.next_attempt_at:
        yield _next_attempt(target.next_attempt_at, is_spaced=target.is_spaced)
    if target.last_error:
        yield f"last error: {target.last_error}"
    if dead:
        yield from (*dead, f"once the cause is removed, `{retry}` sends its dead letters again")


def _next_attempt(at: str, *, is_spaced: bool) -> str:
    when = _when(at)
    if is_spaced and when != _AT_ONCE:
        return f"waits: the next checkpoint goes {when}; uploads are spaced out while the run trains"
    return f"next attempt {when}"


def _no_key(target: TargetReport, settings: Settings) -> NoKey | None:
    try:
        key_for(settings, target.platform, target.base_url or settings.address_of(target.platform) or "")
    except NoKey as error:
        return error
    except SettingsError:  # a platform that only a later version knows: the drain reports it
        pass
    return None


def _seconds_from_now(moment: str) -> float:
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (then - datetime.now(timezone.utc)).total_seconds()


def _age(moment: str) -> str:
    return _span(-_seconds_from_now(moment))


def _when(moment: str) -> str:
    seconds = _seconds_from_now(moment)
    return _AT_ONCE if seconds <= 0 else f"in {_span(seconds)}"


def _span(seconds: float) -> str:
    """Return a time span in its largest whole unit."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return "0 s"
