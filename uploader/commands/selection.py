"""Which runs and dead letters a person named on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from journal.next_steps import next_command
from uploader.addresses import is_same_place
from uploader.commands.phrases import place

if TYPE_CHECKING:
    from journal import Journal

_SHOWN_OF_ID = 8
"""Run ids are shown with this many characters; a shorter number is the id of a dead letter."""


@dataclass(frozen=True)
class Letters:
    """Dead letters that a person named, by themselves or by their run.

    Attributes:
        ids: Ids of the dead letters.
        runs: Ids of the runs that were named; all their dead letters are among `ids`.
    """

    ids: tuple[int, ...]
    runs: tuple[str, ...]


def named_letters(opened: Journal, named: Sequence[str]) -> Letters:
    """Return the dead letters that a person named: each by its id, or all of a run by what names the run.

    Args:
        opened: The journal.
        named: What the person typed.

    Raises:
        UnknownRow: One names neither a dead letter nor a run.
    """
    report = opened.report()
    by_run = {run.id: [one.id for target in run.targets for one in target.dead_letters] for run in report}
    every = {str(each) for ids in by_run.values() for each in ids}
    numbers = [int(each) for each in named if each in every]
    others = [each for each in named if each not in every]
    names = {run.name for run in report}
    strange = [each for each in others if each.isdecimal() and each not in names and not _begins_id(by_run, each)]
    opened.require_dead([int(each) for each in strange])
    runs = tuple(named_runs(opened, others)) if others else ()
    ids = dict.fromkeys([*numbers, *(each for run in runs for each in by_run[run])])
    return Letters(tuple(ids), runs)


def named_runs(opened: Journal, names: Sequence[str]) -> list[str]:
    """Return the ids of the runs that a person named, each by its name, its id or the beginning of its id.

    Raises:
        UnknownRow: One fits no run, or several.
    """
    from contextlib import closing

    from uploader.run_selection import choose_runs

    with closing(opened.outbox()) as outbox:
        return choose_runs(outbox.routes.runs(), names, opened.place) or []


def named_destination(opened: Journal, platform: str, url: str) -> int:
    """Return the id of the destination that a person named.

    Args:
        opened: The journal.
        platform: What it speaks.
        url: Its address, also as it was typed before addresses had one form; "" for one without an address yet.

    Raises:
        UnknownRow: Nothing goes there.
    """
    from contextlib import closing

    from journal.errors import UnknownRow

    with closing(opened.outbox()) as outbox:
        places = [one for one in outbox.routes.destinations() if one.platform == platform]
    for one in places:
        if one.base_url == url or is_same_place(one.base_url, url):
            return one.id
    raise UnknownRow(f"nothing goes to {place(platform, url)}; {where_runs_go(opened)}")


def where_runs_go(opened: Journal) -> str:
    """Return in words how a person finds out where runs go."""
    return f"`{next_command('status', opened.place)}` lists where runs go"


def _begins_id(runs: Iterable[str], digits: str) -> bool:
    """Return whether digits are the beginning of a run's id rather than the id of a dead letter."""
    return len(digits) >= _SHOWN_OF_ID and any(run.startswith(digits) for run in runs)
