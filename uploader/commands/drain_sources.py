"""What a drain is of: journals, packs and mirrors that are taken in first, and mirrors that are followed."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.errors import PROGRAM
from uploader.commands.packs import came_in, take_in
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
        ended: Packs and mirrors that cannot be used, each with the reason, or with a summary of nothing.
        troubles: In words, what of mirrors is damaged or missing.
        other_models: In words, by journal, the runs that are another model where they come from.
        is_stopped: Whether a person stopped it meanwhile.
    """

    journals: list[Chosen] = field(default_factory=list)
    ended: list[tuple[Path, Summary | Exception]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    other_models: dict[Path, list[str]] = field(default_factory=dict)
    is_stopped: bool = False

    def finish(self) -> None:
        """Follow mirrors no longer, and note what of them is not taken in; once."""
        from journal.locations import packs_journal

        for followed in (one.followed for one in self.journals if one.followed):
            followed.close()
            self.troubles += followed.troubles
            self.other_models.setdefault(packs_journal(), []).extend(followed.other_models)


class _Stopped(BaseException):
    """A person wants the command to end."""


def require_watchable(places: Sequence[Path], option: str) -> None:
    """End the command where a pack is to be watched, which does not change."""
    from journal.reading.places import what_is

    for pack in (one for one in places if what_is(one) == "pack"):
        raise click.UsageError(
            f"{option} is for journals and mirrors: the pack {pack} does not change. `{PROGRAM} drain "
            f"{shlex.quote(str(pack))}` delivers it; with --max-time SECONDS it keeps trying"
        )


@contextmanager
def taken_in(places: Sequence[Path | None], options: DrainOptions, *, as_json: bool) -> Iterator[Sources]:
    """Take packs and mirrors in; a drain that watches follows its mirrors as long as the block lasts.

    Of the journal that packs and mirrors are taken into, only their own runs are drained: it holds others, too.

    Args:
        places: Journals, packs and mirrors.
        options: What a person asked for.
        as_json: Whether only JSON is to be printed.
    """
    from journal.reading.places import what_is

    journals = [
        place
        for place in places
        if place is None or not (what_is(place) in {"pack", "mirror"} or (options.watch and _is_away(place)))
    ]
    others = [place for place in places if place is not None and place not in journals]
    sources = Sources([Chosen(place, options) for place in journals])
    with _stopping(sources):
        if options.watch:
            _follow(others, options, sources)
        else:
            _take_in(others, options, sources, as_json=as_json)
    try:
        yield sources
    finally:
        for chosen in sources.journals:
            if chosen.followed:
                chosen.followed.close()


@contextmanager
def _stopping(sources: Sources) -> Iterator[None]:
    """Have the first SIGINT or SIGTERM end the block, and a second one the process."""

    def handle(number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        sources.is_stopped = True
        raise _Stopped

    handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _take_in(places: Sequence[Path], options: DrainOptions, sources: Sources, *, as_json: bool) -> None:
    from journal.errors import JournalError
    from uploader.errors import UploaderError

    runs: set[str] = set()
    where: Path | None = None
    for place in places:
        unread = (place, Summary((), 0.0, interrupted=True, not_in_mirror=(f"{place}: it was not taken in",)))
        sources.ended.append(unread)  # unless it is, below
        try:
            where, own, others = take_in(place, options.runs, sources.troubles, shown=not as_json)
            runs |= own
            sources.other_models.setdefault(where, []).extend(others)
            sources.ended.remove(unread)
        except (UploaderError, JournalError) as error:
            sources.ended[-1] = (place, error)
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
            sources.ended.append((mirror, MirrorUnavailable(str(error))))
    if addresses:
        followed = FollowedMirrors(packs_journal(), addresses, options.runs, _say)
        sources.journals.append(Chosen(packs_journal(), replace(options, runs=()), followed))
        followed.start()


def _say(address: str, restored: Restored) -> None:
    from journal.locations import packs_journal

    click.echo(f"{address}: {came_in(restored)}; taken into {packs_journal()}", err=True)
