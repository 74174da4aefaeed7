"""Packs as commands use them: opened and checked with a progress bar, and taken into a journal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from journal.quantities import count
from uploader.commands.mirror_option import counter
from uploader.commands.progress_bars import byte_bar

if TYPE_CHECKING:
    from journal import Journal
    from journal.mirror.restoring import Restored


def bring_in(source: Path, into: Journal, *, shown: bool) -> Restored:
    """Bring a pack, a mirror or another journal into a journal.

    Args:
        source: The pack's file, the mirror, or the other journal's folder.
        into: The journal.
        shown: Whether to show a progress bar.

    Raises:
        JournalError: One of them cannot be used, or there is neither.
    """
    from journal.errors import JournalUnwritable
    from journal.reading.beside import is_awaited
    from journal.reading.places import what_is

    what = what_is(source)
    if what == "pack":
        return _from_pack(source, into, shown=shown)
    if what == "journal":
        return _from_journal(source, into)
    if what == "mirror":
        return _from_mirror(source, into, shown=shown)
    if is_awaited(source):
        return _from_fallbacks(source, into)
    raise JournalUnwritable(f"{source} is neither a pack, nor a mirror, nor a journal's folder")


def _from_fallbacks(source: Path, into: Journal) -> Restored:
    """Bring in what waits for a journal that could not be made."""
    from journal.errors import from_os
    from journal.mirror.restoring import Restored

    try:
        runs, events = into.fallbacks.copy(source)
    except OSError as error:
        raise from_os(error, source) from error
    return Restored(runs=runs, events=events)


def _from_pack(source: Path, into: Journal, *, shown: bool) -> Restored:
    from journal.packs import archive

    with byte_bar("checking", source.stat().st_size, shown=shown) as bar, archive.open_pack(source, bar) as pack:
        return archive.take_in(into, pack)


def _from_mirror(source: Path, into: Journal, *, shown: bool) -> Restored:
    from journal.errors import MirrorUnavailable
    from journal.mirror.mirror_addresses import checked_mirror, open_mirror
    from journal.mirror.mirroring import Mirroring
    from journal.mirror.restoring import restore
    from journal.reading.places import address_of

    try:
        store = open_mirror(checked_mirror(address_of(source) or source))
    except ValueError as error:
        raise MirrorUnavailable(str(error)) from error
    restored = restore(into, store, between=counter("objects", as_json=not shown))
    mirroring = Mirroring(into, store, restored.runs)
    mirroring.look()
    for run in restored.runs:  # so that what platforms take of it from here is told to the mirror, too
        mirroring.state(run).write(into.path)
    return restored


def _from_journal(source: Path, into: Journal) -> Restored:
    from journal.opening import open_journal
    from journal.packs import contents, unpacking

    with ExitStack() as stack:
        other = stack.enter_context(open_journal(source))
        other.fallbacks.ingest()
        every = [run.id for run in other.report()]
        return unpacking.take_in(into, contents.collect(stack, other, every))


def take_in(
    pack: Path, names: Sequence[str], troubles: list[str], *, shown: bool
) -> tuple[Path, frozenset[str], Sequence[str]]:
    """Take a pack or mirror into the journal that these are drained from.

    So nothing is sent twice, however often a pack is drained, and whatever several have in common.

    Args:
        pack: The pack or mirror.
        names: What a person named of its runs; none means all of its.
        troubles: Gets, in words, what is damaged or missing, if it is a mirror.
        shown: Whether to show a progress bar.

    Returns:
        That journal, the runs to deliver, and in words those that are another model where they come from.

    Raises:
        JournalError: The pack is damaged, or the journal cannot be used.
        SettingsError: A name fits no run of it, or several.
    """
    from contextlib import closing

    from journal import locations
    from journal.opening import open_with_room
    from journal.reading.places import address_of, what_is
    from uploader.run_selection import choose_runs

    with open_with_room(locations.packs_journal()) as journal, closing(journal.outbox()) as outbox:
        unpacked = bring_in(pack, journal, shown=shown)
        own = [run for run in outbox.routes.runs() if run.id in unpacked.runs]
        chosen = choose_runs(own, names, journal.path)
    if what_is(pack) == "mirror":
        troubles += (why for why in unpacked.troubles if why not in unpacked.refused)
    click.echo(f"{address_of(pack) or pack}: {came_in(unpacked)}; taken into {journal.path}", err=True)
    return journal.path, frozenset(unpacked.runs if chosen is None else chosen), unpacked.other_models


def require_file(path: Path, what: str) -> None:
    """End the command when something is there that is not a file, and so is not to be replaced by one.

    Args:
        path: Where a file is to be written.
        what: The argument that named it.
    """
    from journal.disk import file_to_replace

    try:
        file_to_replace(path)
    except OSError as error:
        raise click.UsageError(f"{what}: {path}: {error.strerror}") from error


def require_no_other(receipts: Path) -> None:
    """End the command when a file is there that is to be replaced by receipts, and holds something else."""
    from journal.packs.receipts import is_one

    require_file(receipts, "--receipts")
    if receipts.exists() and not is_one(receipts):
        raise click.UsageError(f"--receipts: {receipts} is there already, and holds something else")


def write_receipts(path: Path, journals: Sequence[tuple[Path, Sequence[str]]]) -> None:
    """Write what has arrived of journals, each with what chooses its runs (`choose_runs`).

    Raises:
        JournalError: A journal cannot be read, or the file not be written.
    """
    from contextlib import closing

    from journal.opening import open_journal
    from journal.packs import receipts
    from uploader.run_selection import choose_runs

    found = []
    for folder, runs in journals:
        with open_journal(folder) as journal, closing(journal.outbox()) as outbox:
            found += receipts.collect(journal, choose_runs(outbox.routes.runs(), runs, folder))
    receipts.write(found, path)


def came_in(one: Restored) -> str:
    """Return in words what came in."""
    new = f"{count(one.events, 'new event')}, {count(one.checkpoints, 'new checkpoint')}"
    known = f", {count(one.delivered, 'delivery')} known to have arrived" if one.delivered else ""
    refused = [f"not taken in: {why}" for why in one.troubles]
    return "\n  ".join([f"{count(len(one.runs), 'run')}: {new}{known}", *refused])
