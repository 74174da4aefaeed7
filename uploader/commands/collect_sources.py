"""What a `collect` brings in: journals, mirrors and packs, each once or as it grows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from uploader.errors import SettingsError

if TYPE_CHECKING:
    from journal.collecting.collecting import Collected, Collecting
    from journal.folder import Journal
    from journal.mirror.following import Following
    from journal.mirror.restoring import Restored
    from journal.outbox.outbox import Outbox
    from uploader.delivery.journal_maintenance import JournalMaintenance
    from uploader.proving.bringing_heads import BringingHeads

INTAKE_SECONDS = 60.0
"""How often what trainings left beside a journal is taken in."""


class Source(Protocol):
    """Something that is brought into a shared journal.

    Attributes:
        place: What a person named.
        lacking: What names runs that it does not have, as far as is known.
    """

    place: Path

    @property
    def lacking(self) -> Collection[str]: ...  # noqa: D102 - above

    def step(self, outbox: Journal, *, is_last: bool) -> Collected:
        """Bring all that there is by now.

        Args:
            outbox: The shared journal.
            is_last: Whether it is the last time.

        Raises:
            JournalError: It cannot be brought now.
            SettingsError: What a person named of it is not there.
        """

    def broken_off(self) -> Collected | None:
        """Return what came in by a step that failed, before it is closed; None where that is not known."""

    def has_changed(self) -> bool:
        """Return whether anything may be new; it costs next to nothing."""

    def is_over(self) -> bool:
        """Return whether nothing more will come, as far as is known; all of it was brought before."""

    def close(self) -> None:
        """Let go of it."""


def source_of(place: Path, names: Sequence[str], *, waits: bool, is_one_of_several: bool = False) -> Source:
    """Return what a person named.

    Args:
        place: A journal's folder, a mirror, or a pack.
        names: What names the runs that are wanted; none for all.
        waits: Whether to wait for a journal that is not there yet, and for runs in it.
        is_one_of_several: Whether another one may have the runs that it does not.
    """
    from journal.reading.places import what_is

    what = what_is(place)
    if what == "pack":
        return _Pack(place)
    return (
        _Mirror(place) if what == "mirror" else _Journal(place, names, waits=waits, may_lack=waits or is_one_of_several)
    )


class _Parts(NamedTuple):
    """A node's journal, opened.

    Attributes:
        outbox: Its outbox.
        maintenance: Takes in what trainings left beside it.
        collecting: Brings its events.
        heads: Brings the heads of its runs.
    """

    outbox: Outbox
    maintenance: JournalMaintenance
    collecting: Collecting
    heads: BringingHeads


class _Journal:
    """A node's journal, with all that its trainings left beside it."""

    def __init__(self, place: Path, names: Sequence[str] = (), *, waits: bool = False, may_lack: bool = False) -> None:
        """Open nothing yet; see `source_of`."""
        from journal.storage.file_changes import FileChanges

        self.place = place
        self._names = names
        self._waits = waits
        self._may_lack = may_lack
        self.lacking: set[str] = set()
        self._changes = FileChanges(place / "journal.db")
        self._stack = ExitStack()
        self._opened: _Parts | None = None
        self._into: Journal | None = None

    def step(self, outbox: Journal, *, is_last: bool) -> Collected:
        from journal.collecting.collecting import Collected

        if not self._is_there():
            return Collected()
        self._changes.note()
        parts = self._open(outbox)
        parts.outbox.require_in_place()
        parts.maintenance.take_in()
        collected = parts.collecting.step(is_last=is_last)
        parts.heads.step(collected.runs, parts.collecting.through, is_last=is_last)
        if is_last:
            parts.maintenance.end()
        return collected

    def broken_off(self) -> Collected | None:
        return self._opened.collecting.came if self._opened else None

    def has_changed(self) -> bool:
        return self._changes.are_any()

    def is_over(self) -> bool:
        from journal.clock import utc_now

        return self._opened is None or not self._opened.outbox.is_training(utc_now())

    def close(self) -> None:
        self._opened = None
        self._stack.close()

    def _is_there(self) -> bool:
        from journal.errors import NoJournal
        from journal.reading.beside import is_awaited
        from journal.reading.places import what_else, what_is

        if what_is(self.place) == "journal" or is_awaited(self.place):
            return True
        if self._waits:
            return False
        raise NoJournal(f"there is no journal in {self.place}; {what_else(self.place)}")

    def _open(self, into: Journal) -> _Parts:
        """Open it, and take in what its trainings left; anew where it is brought into another one."""
        from journal.collecting.collecting import Collecting
        from journal.opening import open_with_room
        from uploader.delivery.journal_maintenance import JournalMaintenance
        from uploader.proving.bringing_heads import BringingHeads

        if self._opened is None or self._into is not into:
            self.close()
            node = self._stack.enter_context(open_with_room(self.place))
            outbox = self._stack.enter_context(closing(node.outbox()))
            maintenance = JournalMaintenance(node.on_connection_of(outbox), outbox, INTAKE_SECONDS)
            maintenance.begin()
            collecting, heads = Collecting(node, into, self._wanted), BringingHeads(node, into)
            self._opened, self._into = _Parts(outbox, maintenance, collecting, heads), into
        return self._opened

    def _wanted(self) -> Collection[str] | None:
        """Return the runs that are wanted, None for all; one that is not there may come later."""
        from uploader.run_selection import choose_runs

        assert self._opened is not None
        known, found = self._opened.outbox.routes.runs(), set[str]()
        self.lacking.clear()
        for name in self._names:
            try:
                found.update(choose_runs(known, [name], self.place) or ())
            except SettingsError:
                self.lacking.add(name)
                if not self._may_lack:
                    raise
        return found if self._names else None


class _Mirror:
    """A mirror, into which a training elsewhere may write."""

    def __init__(self, place: Path) -> None:
        """Open nothing yet."""
        self.place = place
        self.lacking: Collection[str] = ()
        self._following: Following | None = None
        self._into: Journal | None = None

    def step(self, outbox: Journal, *, is_last: bool) -> Collected:
        from journal.mirror.following import Following
        from journal.mirror.handing_over import hand_over_results

        if self._following is None or self._into is not outbox:
            self._following, self._into = Following(outbox, self._address()), outbox
        restored = self._following.look()
        if is_last:
            hand_over_results(outbox, self._following.address, self._following.runs)
        return _collected(restored, [what for what in self._following.troubles if what not in restored.damaged])

    def broken_off(self) -> Collected | None:
        return None

    def has_changed(self) -> bool:
        return False  # it is looked at now and then

    def is_over(self) -> bool:
        return self._following is not None and self._following.is_over

    def close(self) -> None:
        self._following = None

    def _address(self) -> str:
        from journal.errors import MirrorUnavailable
        from journal.mirror.mirror_addresses import checked_mirror
        from journal.reading.places import address_of

        try:
            return checked_mirror(address_of(self.place) or self.place)
        except ValueError as error:
            raise MirrorUnavailable(str(error)) from error


class _Pack:
    """A pack, which does not change."""

    def __init__(self, place: Path) -> None:
        """Open nothing yet."""
        self.place = place
        self._into: Journal | None = None
        self.lacking: Collection[str] = ()

    def step(self, outbox: Journal, *, is_last: bool) -> Collected:
        from journal.collecting.collecting import Collected
        from journal.packs import archive

        if self._into is outbox:
            return Collected()
        with archive.open_pack(self.place, lambda _: None) as pack:
            restored = archive.take_in(outbox, pack)
        self._into = outbox
        return _collected(restored)

    def broken_off(self) -> Collected | None:
        return None

    def has_changed(self) -> bool:
        return False

    def is_over(self) -> bool:
        return self._into is not None

    def close(self) -> None:
        self._into = None


def _collected(restored: Restored, others: Sequence[str] = ()) -> Collected:
    from journal.collecting.collecting import Collected

    counts = {"events": restored.events, "checkpoints": restored.checkpoints, "bytes": restored.bytes}
    return Collected(restored.runs, **counts, missing=list(restored.missing), refused=[*restored.damaged, *others])
