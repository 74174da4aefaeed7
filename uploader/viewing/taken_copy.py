"""A mirror or a pack as a journal that is only looked at: its events in a temporary one, which nobody drains.

Checkpoints are named, but their bytes stay where they are.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from journal.errors import JournalError
from journal.folder import Journal
from journal.mirror.layout import RUNS
from journal.mirror.mirror_addresses import open_mirror
from journal.mirror.narrowed_sources import Only, WithoutCheckpoints
from journal.mirror.restoring import restore
from journal.opening import open_journal
from journal.packs.archive import open_pack
from uploader.dashboard.shown import RunList, RunNews
from uploader.viewing.journal_source import JournalSource
from uploader.viewing.source_errors import JournalUnreadable, in_the_source_s_terms

_EVERY = 5.0
"""Seconds between two looks at a mirror, each of which is a listing."""


class MirrorSource(JournalSource):
    """Tells a dashboard of a mirror's runs; what is new in the mirror is taken in while somebody looks."""

    def __init__(self, address: str, copy: Journal, clock: Callable[[], float] = time.monotonic) -> None:
        """Take in what is there.

        Args:
            address: The mirror's.
            copy: A journal for it alone.
            clock: Seconds; never goes back.

        Raises:
            MirrorUnavailable: It cannot be read.
        """
        super().__init__(copy.path, address)
        self._address = address
        self._store = open_mirror(address)
        self._copy = copy
        self._clock = clock
        self._turn = threading.Lock()
        self._trouble: JournalUnreadable | None = None
        self._taken: set[str] = set()
        self._looked_at = clock()
        self._take_in()

    @in_the_source_s_terms
    def runs(self, since: str | None = None) -> RunList:
        """Return the list of runs, or what changed of it."""
        self._look()
        return super().runs(since)

    @in_the_source_s_terms
    def news(self, key: str, since: str | None = None) -> RunNews:
        """Return what a run's page tells, or what of it is new."""
        self._look()
        return super().news(key, since)

    @in_the_source_s_terms
    def curves(self, keys: Sequence[str], known: Mapping[str, RunNews]) -> Mapping[str, RunNews]:
        """Return what a comparison shows of runs."""
        self._look()
        return super().curves(keys, known)

    @in_the_source_s_terms
    def curve_news(self, since: Mapping[str, str]) -> Mapping[str, RunNews]:
        """Return what of that is new."""
        self._look()
        return super().curve_news(since)

    def _look(self) -> None:
        """Take in what is new, unless another page does so at the moment; what went wrong lasts until the next look."""
        if self._clock() - self._looked_at >= _EVERY and self._turn.acquire(blocking=False):
            try:
                self._looked_at = self._clock()
                self._trouble = self._taking_in()
            finally:
                self._turn.release()
        if self._trouble:
            raise self._trouble

    def _taking_in(self) -> JournalUnreadable | None:
        try:
            self._take_in()
        except JournalError as error:
            return JournalUnreadable(str(error))
        return None

    def _take_in(self) -> None:
        there = {one.name for one in self._store.list(RUNS)}
        if self._taken - there:  # perhaps all of it is gone, as a drive that is mounted no longer
            open_mirror(self._address)
        new = there - self._taken
        if new:
            restored = restore(self._copy, Only(WithoutCheckpoints(self._store), new))
            self._taken |= new - set(restored.left)


@contextmanager
def viewed_mirror(address: str) -> Iterator[JournalSource]:
    """Yield a mirror as a source, as long as the block lasts.

    Raises:
        MirrorUnavailable: It cannot be read.
    """
    with _temporary() as copy:
        yield MirrorSource(address, copy)


@contextmanager
def viewed_pack(path: Path) -> Iterator[JournalSource]:
    """Yield a pack as a source, as long as the block lasts.

    Raises:
        DamagedPack: It is torn or was altered.
        JournalUnavailable: It cannot be read.
    """
    with _temporary() as copy:
        with open_pack(path) as pack:
            restore(copy, Only(WithoutCheckpoints(pack), {one.name for one in pack.list(RUNS)}))
        yield JournalSource(copy.path, str(path))


@contextmanager
def _temporary() -> Iterator[Journal]:
    with (
        tempfile.TemporaryDirectory(prefix="uploader-view-") as folder,
        open_journal(folder, durability="process") as journal,
    ):
        yield journal
