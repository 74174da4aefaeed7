"""`uploader status`: what the journal holds, and what has arrived of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from journal.clock import to_text, utc_now
from journal.kinds import RunState
from journal.locations import default_journal
from journal.shared_addresses import told
from uploader.commands.dialogue import JOURNAL_UNUSABLE, USAGE, fail
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors, require_journal
from uploader.commands.journal_option import journals_argument, journals_option
from uploader.commands.phrases import what_else
from uploader.commands.run_completion import RunName
from uploader.commands.screen import Line, Screen, line, screen, show
from uploader.commands.spans import age_given
from uploader.errors import SettingsError
from uploader.reports.standing import Standing, standing_of
from uploader.run_selection import choose_runs

if TYPE_CHECKING:
    from journal.reading.overview import RunOverview
    from journal.reading.report import RunReport

_Seen = TypeVar("_Seen")
_HELP = """Show the journal's runs, and what is delivered, pending or refused of each.

One line a run, those in trouble first, and below them what is in the way and which command helps. As many runs are
shown as fit the screen. It only reads, so it is safe beside a training and a drain.
"""


@dataclass(frozen=True)
class Wanted:
    """Which runs a person asked for.

    Attributes:
        names: What names them; none for all.
        states: Of their trainings, or how they stand; none for all.
        since: How long ago they were heard of, at most.
    """

    names: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    since: timedelta | None = None

    def overviews(self, runs: Sequence[RunOverview], folder: Path) -> list[RunOverview]:
        """Return those of the runs; see `reports`."""
        ids = self._ids(runs, folder)
        return [run for run in runs if run.id in ids and self._fits(run, standing_of(run.state, run.targets.values()))]

    def reports(self, runs: Sequence[RunReport], folder: Path) -> list[RunReport]:
        """Return those of the runs.

        Raises:
            SettingsError: A name fits none, or several.
        """
        ids = self._ids(runs, folder)
        return [run for run in runs if run.id in ids and self._fits(run, standing_of(run.state, run.targets))]

    def _ids(self, runs: Sequence[RunReport] | Sequence[RunOverview], folder: Path) -> set[str]:
        return set(choose_runs(runs, self.names, folder) or (run.id for run in runs))

    def _fits(self, run: RunReport | RunOverview, standing: Standing) -> bool:
        earliest = to_text(utc_now() - self.since) if self.since is not None else ""
        fits = not self.states or run.state in self.states or standing.word in self.states
        return fits and (run.last_sign_at or run.created_at) >= earliest


@click.command(
    epilog=epilog(
        "status",
        "status --run train-3",
        "status --state trouble --state running",
        "status --since 2d --watch",
        "status --json",
        "status nodes/*/journal",
        "status --prometheus",
    ),
    help=_HELP,
)
@journals_argument
@journals_option
@click.option("--run", "names", multiple=True, metavar="RUN", type=RunName(), help="All there is to say of this run.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([*get_args(RunState), *(one.word for one in Standing)]),
    help="Only runs whose training or delivery is in this state; may be given several times.",
)
@click.option("--since", callback=age_given, metavar="AGE", help="Only runs that were heard of since: 12h, 30d.")
@click.option("--all", "all_runs", is_flag=True, help="Show every run, however many there are.")
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list of them for several journals.")
@click.option("--prometheus", is_flag=True, help="Print gauges of the journal in the text format of Prometheus.")
def status(
    *,
    journals: tuple[Path, ...],
    names: tuple[str, ...],
    states: tuple[str, ...],
    since: timedelta | None,
    all_runs: bool,
    watch: bool,
    as_json: bool,
    prometheus: bool,
) -> None:
    """Show the journal's runs; see `_HELP`."""
    if watch and as_json:
        raise click.UsageError("--watch is for people; run `status --json` as often as you need it")
    if names and len(journals) > 1:
        raise click.UsageError("--run names runs of one journal; give one journal with it")
    wanted = Wanted(names, states, since)
    if prometheus:
        if as_json or watch or wanted != Wanted():
            raise click.UsageError("--prometheus prints gauges of whole journals; give it without other options")
        from uploader.commands.status_prometheus import print_gauges

        sys.exit(print_gauges(journals or (default_journal(),), _limit()))
    if len(journals) <= 1:
        require_journal(journals[0] if journals else None, "status", as_json=as_json, may_be_none=not names)
    if as_json:
        sys.exit(_print_json(journals, wanted))
    if watch:
        from uploader.commands.status_watch import patiently, watch_it

        look = patiently(lambda: _drawn(journals, wanted, all_runs=all_runs)[0])
        _alone(partial(watch_it, look), as_json=False)
        return
    drawn, code = _alone(partial(_drawn, journals, wanted, all_runs=all_runs), as_json=False)
    show(drawn)
    sys.exit(code)


def _drawn(folders: Sequence[Path], wanted: Wanted, *, all_runs: bool) -> tuple[list[Line], int]:
    """Return what to show of journals, and the exit code: of several, one that cannot be read stops no other."""
    on = screen(whole=all_runs)
    if len(folders) <= 1:
        return _lines(folders[0] if folders else None, wanted, on), 0
    lines: list[Line] = []
    code = 0
    for folder in folders:
        found = _or_why(folder, partial(_lines, folder, wanted, on))
        code = JOURNAL_UNUSABLE if isinstance(found, str) else code
        lines += [Line()] if lines else []
        lines += [line(f"journal {told(folder)}: {found}")] if isinstance(found, str) else found
    return lines, code


def _print_json(folders: Sequence[Path], wanted: Wanted) -> int:
    """Print one object, or one for each of several journals; return the exit code."""
    if len(folders) <= 1:
        click.echo(json.dumps(_alone(partial(_values, folders[0] if folders else None, wanted), as_json=True)))
        return 0
    found = {folder: _or_why(folder, partial(_values, folder, wanted)) for folder in folders}
    shown = ({"journal": told(folder), "error": one} if isinstance(one, str) else one for folder, one in found.items())
    click.echo(json.dumps([*shown]))
    return JOURNAL_UNUSABLE if any(isinstance(one, str) for one in found.values()) else 0


def _alone(look: Callable[[], _Seen], *, as_json: bool) -> _Seen:
    """Return what there is in the one journal; end the command where it cannot be read, or a name fits no run."""
    try:
        with journal_errors("status", as_json=as_json):
            return look()
    except SettingsError as error:
        fail(str(error), "status", USAGE, as_json=as_json)


def _or_why(folder: Path, look: Callable[[], _Seen]) -> _Seen | str:
    """Return what there is in one of several journals, or why that cannot be read."""
    from journal.errors import JournalError
    from journal.reading.places import what_is

    if what_is(folder) != "journal":
        return f"there is no journal; {what_else(folder)}"
    try:
        return look()
    except JournalError as error:
        return str(error)


def _lines(folder: Path | None, wanted: Wanted, on: Screen) -> list[Line]:
    """Return what to show of a journal: all of the runs that were named, or a line of each."""
    from journal import read_only
    from uploader.commands.status_rows import in_order
    from uploader.commands.status_screen import lines
    from uploader.commands.status_text import as_text
    from uploader.run_folder.results_file import record_of

    if wanted.names:
        view = read_only.read_journal(folder, record_of)
        text = as_text(view, wanted.reports(view.runs, view.path), _limit())
        return [line(each) for each in text.split("\n")]
    path = folder or default_journal()

    def closely(runs: Sequence[RunOverview]) -> Iterable[str]:
        return (run.id for run in in_order(wanted.overviews(runs, path))[: on.height])

    glance = read_only.glance(folder, closely, record_of)
    return lines(glance, wanted.overviews(glance.runs, path), _limit(), on)


def _limit() -> int | None:
    """Return the journal's size limit in bytes; None, with a message, when the setting cannot be read."""
    from journal.errors import JournalError
    from journal.locations import default_max_size

    try:
        return default_max_size()
    except JournalError as error:
        click.echo(f"uploader status: {error}", err=True)
        return None


def _values(folder: Path | None, wanted: Wanted) -> dict[str, Any]:
    from journal import read_only
    from uploader.reports.journal_status import journal_status
    from uploader.run_folder.results_file import record_of

    view = read_only.read_journal(folder, record_of)
    return asdict(journal_status(view, wanted.reports(view.runs, view.path), _limit()))
