"""What `uploader status` shows of many runs: a table that fits the screen, and what is in the way of those in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from journal.next_steps import next_command
from journal.quantities import count
from uploader.commands.phrases import place
from uploader.commands.screen import Line, Screen, line, lines_taken, wrapped
from uploader.commands.status_notes import Note, notes, told
from uploader.commands.status_rows import in_order, row_of, tally
from uploader.commands.status_table import table
from uploader.commands.status_text import drains_in_words, head, in_full
from uploader.commands.terminal_text import printable
from uploader.reports.standing import Standing, standing_of

if TYPE_CHECKING:
    from journal.read_only import Glance
    from journal.reading.overview import RunOverview

_FEWEST = 4
"""At least so many runs are shown, and so many lines of what is in their way, however low the screen is."""


def lines(glance: Glance, runs: Sequence[RunOverview], limit: int | None, on: Screen) -> list[Line]:
    """Return what to draw.

    Args:
        glance: What the journal holds.
        runs: Those of its runs that were asked for.
        limit: Its size limit in bytes, if that is known.
        on: What to draw on.
    """
    top = [head(glance, len(glance.runs), limit), *drains_in_words(glance.drains).split("\n"), *_tallies(runs)]
    around = [*top, "", "its head", *_not_shown(runs, (), glance)]
    room = None if on.height is None else on.height - _height(around, on)
    below = _below(glance, in_order(runs), on, room)
    closely = [run for run in in_order(runs) if run.id in glance.details]
    shown = closely if room is None else closely[: max(_FEWEST, room - _height(below, on))]
    rows = [row_of(run, glance.details[run.id]) for run in shown]
    drawn = [Line(), *table(rows, on.width)] if rows else []
    return [*map(line, top), *drawn, *map(line, [*_not_shown(runs, shown, glance), *below])]


def _below(glance: Glance, ordered: Sequence[RunOverview], on: Screen, room: int | None) -> list[str]:
    """Return what stands below the table: all there is to say of each run where that fits, else what is in the way."""
    if room is not None and ordered and all(run.id in glance.reports for run in ordered):
        text = in_full(glance, [glance.reports[run.id] for run in ordered])
        lines = [each for one in text.split("\n") for each in _indented(one, on)]
        if _height(lines, on) + len(ordered) <= room:
            return lines
    return told(notes(glance, ordered), on, partial(_most, ordered, room), glance)


def _most(runs: Sequence[RunOverview], room: int | None, note: Note) -> float:
    """Return how many lines below the table a note may go up to: half of what there is, or all but those in trouble."""
    if room is None:
        return math.inf
    troubles = sum(standing_of(run.state, run.targets.values()) is Standing.TROUBLE for run in runs)
    most = room - max(_FEWEST, troubles) if note.is_urgent else 0
    return max(_FEWEST, room // 2, most)


def _indented(text: str, on: Screen) -> list[str]:
    return wrapped(printable(text).lstrip(), on, len(text) - len(text.lstrip()))


def _tallies(runs: Sequence[RunOverview]) -> Iterator[str]:
    """Yield how many runs stand how, and how many have arrived at each platform."""
    if not runs:
        return
    yield tally(runs)
    standings: dict[str, Counter[Standing]] = {}
    for run in runs:
        for target in (one for one in run.targets.values() if one.dropped_at is None):
            found = standings.setdefault(place(target.platform, target.base_url), Counter())
            found[standing_of(run.state, (target,))] += 1
    for name, found in standings.items():
        verified = f", {found[Standing.VERIFIED]} verified" if found[Standing.VERIFIED] else ""
        there = found[Standing.DELIVERED] + found[Standing.VERIFIED]
        yield f"{name}: {there} of {count(sum(found.values()), 'run')} delivered{verified}"


def _not_shown(runs: Sequence[RunOverview], shown: Sequence[RunOverview], glance: Glance) -> Iterator[str]:
    ids = {run.id for run in shown}
    if left := [run for run in runs if run.id not in ids]:
        yield f"{len(left)} more: {tally(left)}; `{next_command('status --all', glance.path)}` shows them"


def _height(lines: Iterable[str], on: Screen) -> int:
    return sum(lines_taken(each, on) for each in lines)
