"""What is in the way of runs, and what helps, said once for all that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from journal.mirror.mirror_state import MirrorState, states
from journal.next_steps import next_command
from uploader.commands.phrases import on_epochs, place
from uploader.commands.screen import Screen, lines_taken, wrapped
from uploader.commands.status_obstacles import NOWHERE, helpful, obstacles, oddities, read_back, with_its_name
from uploader.commands.status_text import beside_it, settings_of_next_drain
from uploader.commands.terminal_text import one_line
from uploader.reports.journal_status import epochs_of
from uploader.reports.standing import Standing, is_wrong_there, standing_of
from uploader.run_selection import full_name
from uploader.settings import Settings

if TYPE_CHECKING:
    from journal.read_only import Glance
    from journal.reading.overview import RunOverview

_NAMED = 3
"""So many runs are named before what is in their way."""


@dataclass(frozen=True)
class Note:
    """What is in the way of some runs, and what helps.

    Attributes:
        lines: In words.
        runs: The runs; none where it is of the whole journal.
    """

    lines: tuple[str, ...]
    runs: tuple[RunOverview, ...] = ()

    @property
    def is_urgent(self) -> bool:
        """Whether it is of a run in trouble."""
        return any(standing_of(run.state, run.targets.values()) is Standing.TROUBLE for run in self.runs)

    def lines_of(self, on: Screen) -> Iterator[str]:
        """Yield its lines, none longer than the screen as far as words allow, with the runs first."""
        if self.runs:
            more = f" and {len(self.runs) - _NAMED} more" if len(self.runs) > _NAMED else ""
            yield from wrapped(", ".join(map(_named, self.runs[:_NAMED])) + more + ":", on, 0)
        for number, line in enumerate(self.lines):
            yield from wrapped(one_line(line), on, (2 if number == 0 else 4) if self.runs else 0)


def notes(glance: Glance, runs: Iterable[RunOverview]) -> list[Note]:
    """Return what is in the way of runs, in their order, and then what else there is that the journal does not hold."""
    settings, mirrors = settings_of_next_drain(glance), states(glance.path)
    commands = helpful(glance.path)
    shared: dict[tuple[str, ...], list[RunOverview]] = {}
    for run in runs:
        for lines in (*_of_run(run, glance, settings, commands), *_of_mirrors(mirrors.get(run.id, ()))):
            shared.setdefault(lines, []).append(run)
    of_runs = (
        Note(with_its_name(lines, of[0], glance.path) if len(of) == 1 else lines, tuple(of))
        for lines, of in shared.items()
    )
    return [*of_runs, *(Note((sentence,)) for sentence in beside_it(glance))]


def _of_run(
    run: RunOverview, glance: Glance, settings: Settings | None, commands: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    is_blocked = False
    for target in (one for one in run.targets.values() if one.dropped_at is None):
        if found := tuple(obstacles(target, commands, settings, with_waits=False)):
            is_blocked = True
            yield (f"{place(target.platform, target.base_url)}: {found[0]}", *found[1:])
        if is_wrong_there(target):
            yield (f"{place(target.platform, target.base_url)}: {read_back(target, glance.path, pruned=run.pruned)}",)
    yield from ((line,) for line in (*oddities(run), *on_epochs(run.state, **epochs_of(run, glance))))
    if not run.targets:
        yield (NOWHERE,)
    elif glance.drain is None and not is_blocked and standing_of(run.state, run.targets.values()) is Standing.WAITING:
        yield (f"waits for a drain: `{commands['drain']}`",)


def _of_mirrors(mirrors: Iterable[MirrorState]) -> Iterator[tuple[str, ...]]:
    return ((f"the mirror {one.address} cannot be used: {one.error}",) for one in mirrors if one.error)


def told(found: Sequence[Note], on: Screen, most: Callable[[Note], float], glance: Glance) -> list[str]:
    """Return the lines of as many notes as fit, the first one in any case.

    Args:
        found: The notes.
        on: What to draw on.
        most: Up to how many lines a note goes in.
        glance: What the journal holds.
    """
    lines: list[str] = []
    for number, note in enumerate(found):
        further = ["", *note.lines_of(on)]
        if number and sum(lines_taken(each, on) for each in (*lines, *further)) > most(note):
            one = next_command("status --run RUN", glance.path)
            return [*lines, "", f"{len(found) - number} more of these; `{one}` says all of one run"]
        lines += further
    return lines


def _named(run: RunOverview) -> str:
    return f"{one_line(full_name(run))} ({run.id[:8]})"
