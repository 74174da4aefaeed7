"""What a drain is of: journals, packs and mirrors that are taken in first, and mirrors that are followed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.errors import PROGRAM
from uploader.commands.packs import came_in, take_in
from uploader.commands.stop_signals import StopSignals
from uploader.delivery.summary import Summary

if TYPE_CHECKING:
    from journal.mirror.restoring import Restored
    from uploader.delivery.drain_options import DrainOptions
    from uploader.delivery.followed_mirrors import FollowedMirrors


@dataclass(frozen=True)
class Chosen:
    """A journal to drain.

    Attributes:
        folder: Where it is; None for the default one.
        options: What a person asked for.
        followed: The mirrors that are taken into it meanwhile, of which alone it delivers the runs.
    """

    folder: Path | None
    options: DrainOptions
    followed: FollowedMirrors | None = None


@dataclass
class Sources:
    """What a drain is of, once packs and mirrors are taken in.

    Attributes:
        journals: The journals to drain.
        ended: Packs and mirrors that cannot be used or are not taken in yet, each with the reason or a summary.
        troubles: In words, what of mirrors is damaged or missing.
        other_models: In words, by journal, the runs that are another model where they come from.
    """

    journals: list[Chosen] = field(default_factory=list)
    ended: list[tuple[Path, Summary | Exception]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    other_models: dict[Path, list[str]] = field(default_factory=dict)

    def settle(self, place: Path, error: Exception | None = None) -> None:
        """Note that a pack or mirror is taken in, or why it cannot be used.

        Args:
            place: Where it is.
            error: Why not.
        """
        self.ended = [one for one in self.ended if one[0] != place]
        if error is not None:
            self.ended.append((place, error))

    def finish(self) -> None:
        """Follow mirrors no longer, and note what of them is not taken in; once."""
        from journal.locations import packs_journal

        for followed in (one.followed for one in self.journals if one.followed):
            followed.close()
            self.troubles += followed.troubles
            self.other_models.setdefault(packs_journal(), []).extend(followed.other_models)


def require_watchable(places: Sequence[Path], option: str) -> None:
    """End the command where a pack is to be watched, which does not change."""
    from journal.reading.places import what_is

    for pack in (one for one in places if what_is(one) == "pack"):
        raise click.UsageError(
            f"{option} is for journals and mirrors: the pack {pack} does not change. `{PROGRAM} drain "
            f"{shlex.quote(str(pack))}` delivers it; with --max-time SECONDS it keeps trying"
        )


@contextmanager
def taken_in(
    places: Sequence[Path | None], options: DrainOptions, *, as_json: bool, stop: StopSignals
) -> Iterator[Sources]:
    """Take packs and mirrors in; a drain that watches follows its mirrors as long as the block lasts.

    Of the journal that packs and mirrors are taken into, only their own runs are drained: it holds others, too.

    Args:
        places: Journals, packs and mirrors.
        options: What a person asked for.
        as_json: Whether only JSON is to be printed.
        stop: Breaks it off.
    """
    from journal.reading.places import what_is

    journals = [
        place
        for place in places
        if place is None or not (what_is(place) in {"pack", "mirror"} or (options.watch and _is_away(place)))
    ]
    others = [place for place in places if place is not None and place not in journals]
    sources = Sources([Chosen(place, options) for place in journals], [(place, _unread(place)) for place in others])
    work = partial(_follow, others, options, sources) if options.watch else None
    try:
        stop.break_off(work or partial(_take_in, others, options, sources, as_json=as_json))
        yield sources
    finally:
        for chosen in sources.journals:
            if chosen.followed:
                chosen.followed.close()


def _unread(place: Path) -> Summary:
    """Return the outcome of a pack or mirror before which a person stops the command."""
    return Summary((), 0.0, interrupted=True, not_in_mirror=(f"{place}: it was not taken in",))


def _take_in(places: Sequence[Path], options: DrainOptions, sources: Sources, *, as_json: bool) -> None:
    from journal.errors import JournalError
    from uploader.errors import UploaderError

    runs: set[str] = set()
    where: Path | None = None
    for place in places:
        try:
            where, own, others = take_in(place, options.runs, sources.troubles, shown=not as_json)
            runs |= own
            sources.other_models.setdefault(where, []).extend(others)
            sources.settle(place)
        except (UploaderError, JournalError) as error:
            sources.settle(place, error)
    if runs:
        sources.journals.append(Chosen(where, replace(options, runs=tuple(sorted(runs)))))
    elif where is not None:  # without a name, a drain would deliver all
        sources.ended.append((where, Summary((), seconds=0.0, interrupted=False)))


def _is_away(place: Path) -> bool:
    """Return whether nothing is where a mirror was that was drained from here: its drive may not be mounted yet."""
    from journal.locations import packs_journal
    from journal.mirror.mirror_state import states
    from journal.reading.places import what_is

    if what_is(place) != "nothing":
        return False
    return any(str(place) == one.address for own in states(packs_journal()).values() for one in own)


def _follow(mirrors: Sequence[Path], options: DrainOptions, sources: Sources) -> None:
    from journal.errors import MirrorUnavailable
    from journal.locations import packs_journal
    from journal.mirror.mirror_addresses import checked_mirror
    from journal.reading.places import address_of
    from uploader.delivery.followed_mirrors import FollowedMirrors

    addresses = []
    for mirror in mirrors:
        try:
            addresses.append(checked_mirror(address_of(mirror) or mirror))
        except ValueError as error:
            sources.settle(mirror, MirrorUnavailable(str(error)))
    if addresses:
        followed = FollowedMirrors(packs_journal(), addresses, options.runs, _say)
        sources.journals.append(Chosen(packs_journal(), replace(options, runs=()), followed))
        sources.ended = [one for one in sources.ended if isinstance(one[1], MirrorUnavailable)]  # the rest is followed
        followed.start()


def _say(address: str, restored: Restored) -> None:
    from journal.locations import packs_journal

    click.echo(f"{address}: {came_in(restored)}; taken into {packs_journal()}", err=True)
