"""What `uploader show` shows a person of one run: sections of lines that fit the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import click

from journal.clock import from_text
from journal.kinds import CONVERSION, DATASET, FINAL, GOING_ON
from journal.quantities import count, epoch_in_words, epochs_in_words, readable
from journal.reading.delivery_records import DeliveryRecord
from journal.reading.recorded_epochs import columns, trained_epochs
from journal.reading.recorded_intents import RecordedIntent
from journal.reading.report import TargetReport
from journal.reading.run_reader import RunContents
from journal.reading.stored_checkpoints import StoredCheckpoint
from journal.records import Run
from uploader.commands.curves import CHARTS, Look, charts, drawn
from uploader.commands.phrases import in_the_way, place
from uploader.commands.screen import STATE_STYLES
from uploader.commands.terminal_text import cut, one_line, printable, spaced_out, wrapped
from uploader.console_chunks import folded
from uploader.run_selection import full_name

CONSOLE_LINES = 10
DELIVERIES = 8
"""So many of those that have not arrived are shown unless all are wanted."""
_CHECKPOINTS = 6
_INTENT = 40
_ASKED = {CONVERSION: "convert to {}", DATASET: "dataset {}"}
_TELLING = {CONVERSION: "args", DATASET: "path"}
_NOT_ARRIVED = ("dead", "pending", "claimed")
_HAPPENED = "%Y-%m-%d %H:%M:%S"
_SHORT_SHA, _WHOLE_SHA = 12, 64
_TWO_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Wanted:
    """What is to be shown, and how.

    Attributes:
        look: How it is drawn.
        drain: The command that delivers what waits.
        all: Whether nothing is to be left out.
    """

    look: Look
    drain: str
    all: bool = False


def as_text(run: Run, contents: RunContents, wanted: Wanted) -> str:
    """Return the lines for a person.

    Args:
        run: The run.
        contents: What the journal holds of it.
        wanted: What is to be shown.
    """
    sections = (
        _head(run, contents, wanted),
        _curves(contents, wanted),
        _console(contents, wanted),
        _checkpoints(contents.checkpoints, wanted),
        _intents(contents.intents, wanted),
        _deliveries(contents, wanted),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


# --- the run


def _head(run: Run, contents: RunContents, wanted: Wanted) -> Iterator[str]:
    state, times = contents.times.state, contents.times
    room = wanted.look.columns - len(state) - 2
    name = click.style(cut(one_line(full_name(run)), room), bold=True)
    yield f"{name}  {click.style(state, fg=STATE_STYLES.get(state))}"
    facts = [
        ("id", run.id),
        ("trained", _when(contents)),
        ("steps" if _counts_steps(contents) else "epochs", _epochs(contents)),
        *(("media", each) for each in _media(contents)),
        ("folder", run.save_dir),
        *(("model", each) for each in times.models),
    ]
    if times.error and state == "failed":
        facts.insert(2, ("error", times.error))
    facts += [("goes to", _target(each, pruned=contents.report.pruned)) for each in contents.report.targets]
    if not contents.report.targets:
        facts.append(("goes to", "nowhere yet; the next drain sends it to the configured platform"))
    facts += [("verified", each) for each in _verified(contents)]
    facts += [("proof", each) for each in _signed(contents)]
    for name, fact in facts:
        yield from _wrapped(f"{name:<9} ", fact, wanted)


def _when(contents: RunContents) -> str:
    times = contents.times
    if times.began_at is None:
        return "not yet"
    end = _end(contents)
    took = f"{times.sessions} sessions of {_span(times.seconds)} in all" if times.sessions > 1 else _span(times.seconds)
    return f"{_local(times.began_at)} {end}, {took}, on {times.host}"


def _end(contents: RunContents) -> str:
    if contents.times.state == "silent":
        return f"and silent since {_local(contents.report.last_sign_at)}"
    return "still running" if contents.times.ended_at is None else f"to {_local(contents.times.ended_at)}"


def _counts_steps(contents: RunContents) -> bool:
    return any(one.is_step for one in contents.epochs)


def _epochs(contents: RunContents) -> str:
    report, planned = contents.report, contents.times.planned_epochs
    if report.pruned:
        return f"{report.epochs} here; the rest was pruned"
    told = f"{report.epochs} of {planned}" if planned else str(report.epochs)
    missing = f"; {epochs_in_words(contents.missing_epochs)} missing" if contents.missing_epochs else ""
    return f"{told}{_best(contents)}{missing}"


def _media(contents: RunContents) -> Iterator[str]:
    told = [count(number, form) for form, number in contents.media.items() if number]
    if told:
        yield ", ".join(told)


def _best(contents: RunContents) -> str:
    rated = [one for one in trained_epochs(contents.epochs) if one.fitness is not None]
    if not rated or len(contents.epochs) < contents.epochs_recorded:  # the best one may not have been read
        return ""
    best = max(rated, key=lambda one: one.fitness or 0.0)
    return f"; best fitness {best.fitness:.4g} in {best.name}"


def _target(target: TargetReport, *, pruned: bool) -> str:
    numbers = [(target.dead, "refused"), (target.pending, "pending"), (target.unplanned, "not planned yet")]
    told = [f"{number} {what}" for number, what in (*numbers, (target.delivered, "delivered")) if number]
    told += ["what was settled before was pruned"] if pruned else []
    reason = f"; refused as a whole: {target.reason}" if target.reason else ""
    dropped = f"; dropped on {target.dropped_at[:10]}" if target.dropped_at else ""
    return f"{place(target.platform, target.base_url)}: {', '.join(told) or 'nothing yet'}{reason}{dropped}"


def _verified(contents: RunContents) -> Iterator[str]:
    for one in contents.verifications:
        numbers = [(one.proven, "proven"), (one.different, "different"), (one.missing, "missing")]
        told = [f"{number} {what}" for number, what in numbers if number]
        told += [f"{one.unreadable} cannot be read back there"] if one.unreadable else []
        told += ["what waited was not there yet"] if one.waits else []
        old = "" if one.is_current else "; what came later is not verified"
        where = f"{place(one.platform, one.base_url)}, " if len(contents.report.targets) > 1 else ""
        yield f"{where}{_local(one.verified_at)}: {', '.join(told)}{old}"


def _signed(contents: RunContents) -> Iterator[str]:
    for one in contents.signed_heads:
        seen = one.countersigned
        of = "" if seen == one.events else f" for {seen} of them"
        witness = f"countersigned{of} by {_key(one.witness)}" if one.witness and seen else "countersigned by nobody"
        where = f"{place(one.platform, one.base_url)}, " if len(contents.report.targets) > 1 else ""
        signed = f"head of {count(one.events, 'event')}, signed by {_key(one.key)}"
        yield f"{where}{_local(one.told_at)}: {signed}, {witness}"


def _key(verifier_key: str) -> str:
    """Return what is short enough to compare a key by: its name and its id."""
    return "+".join(verifier_key.split("+", 2)[:2])


# --- curves and console


def _curves(contents: RunContents, wanted: Wanted) -> Iterator[str]:
    epochs = trained_epochs(contents.epochs)
    table = columns(epochs)
    found = charts(table)
    if not found:
        yield _why_no_curves(contents)
        return
    if len(epochs) == 1:  # a single point is no curve
        names = [name for chart in found for name in chart.names]
        yield from _wrapped("", "  ".join(f"{name} {table[name][0]:.4g}" for name in names), wanted)
        return
    shown = found if wanted.all else found[:CHARTS]
    yield from drawn([one.counted for one in epochs], shown, wanted.look)
    if left := [name for chart in found[len(shown) :] for name in chart.names]:
        yield from _wrapped("", f"not drawn: {', '.join(left)}; --all draws them", wanted)
    if len(contents.epochs) < contents.epochs_recorded:
        noun = "steps" if _counts_steps(contents) else "epochs"
        yield f"drawn from {len(contents.epochs)} of {contents.epochs_recorded} {noun}, evenly spaced"


def _why_no_curves(contents: RunContents) -> str:
    if trained_epochs(contents.epochs):
        return "no epoch here has a number to draw"
    if contents.report.pruned:
        return "no epochs are here; those of before were pruned"
    goes_on = contents.times.is_live or contents.times.state in GOING_ON
    return "no epoch has ended yet" if goes_on else "no epochs were recorded"


def _console(contents: RunContents, wanted: Wanted) -> Iterator[str]:
    lines = [line for chunk in contents.console for line in folded(chunk.text)][-CONSOLE_LINES:]
    bars = list(contents.console[-1].progress.values()) if contents.console else []
    if lines or bars:
        yield _title("console")
    for line in (*lines, *bars):
        yield cut(spaced_out(printable(line)), wanted.look.columns)


# --- checkpoints and deliveries


def _checkpoints(found: Sequence[StoredCheckpoint], wanted: Wanted) -> Iterator[str]:
    if not found:
        return
    newest = found[::-1]
    kept = newest if wanted.all else [one for one in newest if one.is_kept or one.role == FINAL][:_CHECKPOINTS]
    yield _title(f"checkpoints: {len(found)}")
    whole = wanted.look.columns >= _WHOLE_SHA + 60
    rows = [_checkpoint(one, _WHOLE_SHA if whole else _SHORT_SHA) for one in kept]
    yield from _table(rows, wanted)
    if left := len(found) - len(kept):
        yield f"{count(left, 'older one')} not shown; --all shows them"


def _checkpoint(one: StoredCheckpoint, sha: int) -> Sequence[str]:
    bytes_are = "kept" if one.is_kept else "not kept"
    arrived = ", ".join(dict.fromkeys(one.deliveries.values())) or "not planned"
    return (
        one.role,
        epoch_in_words(one.epoch),
        readable(one.size),
        one.sha256[:sha],
        bytes_are,
        arrived,
        _local(one.recorded_at),
    )


def _intents(found: Sequence[RecordedIntent], wanted: Wanted) -> Iterator[str]:
    if not found:
        return
    newest = {(one.kind, one.key): one for one in found}  # what was wanted before is not to be done any more
    kept = found if wanted.all else list(newest.values())
    yield _title(f"asked for: {len(kept)}")
    yield from _table([_intent(one) for one in kept], wanted)


def _intent(one: RecordedIntent) -> Sequence[str]:
    what = _ASKED.get(one.kind, "{}").format(one.payload.get("format", one.key))
    value = one.payload.get(_TELLING.get(one.kind, one.key), "")
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    done = ", ".join(dict.fromkeys(one.deliveries.values())) or "not planned yet"
    return what, cut(one_line(told), _INTENT), done, _local(one.recorded_at)


def _deliveries(contents: RunContents, wanted: Wanted) -> Iterator[str]:
    numbers = contents.deliveries_by_state
    obstacles = [line for target in contents.report.targets for line in _in_the_way(target, wanted)]
    if not numbers and not obstacles:
        return
    counted = ", ".join(f"{number} {state}" for state, number in sorted(numbers.items()))
    yield _title(f"deliveries: {counted or 'none yet'}")
    yield from obstacles
    shown = contents.deliveries
    if not wanted.all:
        shown = [one for one in shown if one.state in _NOT_ARRIVED][:DELIVERIES]
    several = len(contents.report.targets) > 1
    for one in shown:
        yield from _table([_delivery(one, several=several)], wanted)
        if one.reason:
            yield from _wrapped("      ", one.reason, wanted)
    left = sum(numbers.get(state, 0) for state in _NOT_ARRIVED) - len(shown)
    if not wanted.all and left > 0:
        yield f"{left} more that have not arrived; --all shows all"


def _in_the_way(target: TargetReport, wanted: Wanted) -> Iterator[str]:
    """Yield what a drain has found in the way of all that waits for a destination, and what helps."""
    if target.obstacle:
        first, *others = in_the_way(target.platform, target.obstacle, wanted.drain)
        yield from _wrapped("", f"{place(target.platform, target.base_url)}: {first}", wanted)
        for line in others:
            yield from _wrapped("  ", line, wanted)


def _delivery(one: DeliveryRecord, *, several: bool) -> Sequence[str]:
    what = f"{one.kind} {one.role}" if one.role else one.kind
    tried = count(one.attempts, "attempt")
    where = [place(one.platform, one.base_url)] if several else []
    number = [f"id {one.id}"] if one.state == "dead" else []
    return f"{one.chunk_id[:_SHORT_SHA]:<{_SHORT_SHA}}", f"{one.state:<10}", what, tried, *number, *where


# --- lines


def _title(text: str) -> str:
    return click.style(text, bold=True)


def _table(rows: Sequence[Sequence[str]], wanted: Wanted) -> Iterator[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(f"{one_line(cell):<{size}}" for cell, size in zip(row, widths, strict=True))
        yield cut(f"  {line.rstrip()}", wanted.look.columns)


def _wrapped(start: str, text: str, wanted: Wanted) -> Iterable[str]:
    return wrapped(start + one_line(text), wanted.look.columns, indent=len(start))


def _local(moment: str) -> str:
    """Return an ISO time as the clock on the wall showed it."""
    try:
        return from_text(moment).astimezone().strftime(_HAPPENED)
    except (ValueError, OverflowError):
        return moment


def _span(seconds: float) -> str:
    """Return a time span in its two largest units."""
    for (length, unit), (smaller, lesser) in pairwise(_TWO_UNITS):
        if seconds >= length:
            rest = int(seconds % length // smaller)
            return f"{int(seconds // length)} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{seconds:.0f} s"
