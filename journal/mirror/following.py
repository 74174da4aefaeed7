"""Following a mirror while a training elsewhere adds to it: what is new is taken in, and results are handed back.

A look costs one listing and what is new. A segment that is torn, or a checkpoint whose event has come before its bytes,
may be whole a moment later, as drives send their files in any order: it is left for the next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from sqlalchemy import select

from journal.clock import utc_now
from journal.folder import Journal
from journal.mirror import gaps
from journal.mirror.journal_reader import JournalReader
from journal.mirror.layout import RUNS, ResultsName, SegmentName
from journal.mirror.marked_store import MarkedStore
from journal.mirror.mirror_addresses import open_mirror
from journal.mirror.mirroring import Mirroring
from journal.mirror.narrowed_sources import Only
from journal.mirror.restoring import Restored, restore, restore_checkpoints, wanted_checkpoints
from journal.mirror.results_mirroring import ResultsMirroring
from journal.mirror.stores import Source
from journal.records import Run
from journal.retention import prunable
from journal.schema import tables
from journal.sessions import over

IN_TRANSIT_SECONDS = 600.0
"""How long something of a mirror may be missing or torn before it is taken for lost."""

_Names = Mapping[str, SegmentName | ResultsName]


class Following:
    """Takes a mirror in, piece by piece, as it grows. One thread owns it.

    Attributes:
        address: The mirror's.
        runs: Uuids of its runs, in the order in which they were found.
        troubles: In words, what of it is damaged or missing, each with when that was seen first, by the clock.
        other_models: In words, its runs that are another model there than here.
        is_over: Whether nobody trained into it any more when it was looked at last, and nothing of it was awaited.
    """

    def __init__(self, journal: Journal, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take nothing in yet.

        Args:
            journal: What comes in goes there.
            address: The mirror's, from `journal.mirror.mirror_addresses.checked_mirror`.
            clock: Seconds; never goes back.
        """
        self.address = address
        self.runs: list[str] = []
        self.troubles: dict[str, float] = {}
        self.other_models: list[str] = []
        self.is_over = False
        self._journal = journal
        self._clock = clock
        self._store: MarkedStore | None = None
        self._results: ResultsMirroring | None = None
        self._taken: set[str] = set()
        self._gaps: list[str] = []
        self._awaited: dict[str, float] = {}  # checkpoints whose events are put off, each with since when

    @property
    def lasting_troubles(self) -> list[str]:
        """Those troubles that do not go away by themselves."""
        return [what for what, since in self.troubles.items() if self._clock() - since >= IN_TRANSIT_SECONDS]

    def known_runs(self) -> list[Run]:
        """Return its runs, as far as they were taken in."""
        with self._journal.begin(read_only=True) as connection:
            rows = connection.execute(select(tables.runs)).all()
        return [Run(**row._asdict()) for row in rows if row.id in self.runs]

    def look(self) -> Restored:
        """Take in what is new, and hand back what platforms have answered.

        Raises:
            MirrorUnavailable: The mirror cannot be used now.
            JournalError: The journal cannot be used now.
        """
        self.is_over = False
        store = self._marked()
        there = {found.name: name for found in store.list(RUNS) if (name := _parsed(found.name))}
        self._taken &= there.keys()
        new = there.keys() - self._taken
        restored = self._take_in(store, new, there) if new else Restored()
        missing = self._fetch_missing(store, restored)
        if new or self._gaps:
            self._gaps = self._gaps_in(there.values())
        self._note(restored, missing)
        self._hand_back(store)
        self.is_over = self._is_over()
        return restored

    def _marked(self) -> MarkedStore:
        """Return the mirror, if it is there and still the same one."""
        if self._store is None:
            self._store = MarkedStore(open_mirror(self.address), self._is_same)
        self._store.mark()
        return self._store

    def _is_same(self) -> bool:
        """Return whether a mirror with another note has anything that this one had."""
        assert self._store is not None
        return not self._taken or any(found.name in self._taken for found in self._store.list(RUNS))

    def _take_in(self, store: MarkedStore, new: Collection[str], there: _Names) -> Restored:
        """Take new objects in, and with a run's events its results again, as they may be about these."""
        runs = {there[name].run for name in new}
        results = {name for name, one in there.items() if isinstance(one, ResultsName) and one.run in runs}
        put_off: set[str] = set()

        def puts_off(sha256: str) -> bool:
            put_off.add(sha256)
            return self._clock() - self._awaited.setdefault(sha256, self._clock()) < IN_TRANSIT_SECONDS

        restored = restore(self._journal, Only(store, {*new, *(results - self._own())}), puts_off=puts_off)
        self._taken |= set(new) - set(restored.left)
        self._awaited = {sha256: since for sha256, since in self._awaited.items() if sha256 in put_off}
        found = [run for run in restored.runs if run not in self.runs]
        self._note_mirrored(store, found)
        self.runs += found
        return restored

    def _note_mirrored(self, store: MarkedStore, runs: Collection[str]) -> None:
        """Note which mirror runs are in, so that it is told and asked of them by drains."""
        if runs:
            mirroring = Mirroring(self._journal, store, runs)
            mirroring.look()
            for run in runs:
                mirroring.state(run).write(self._journal.path)

    def _fetch_missing(self, store: Source, restored: Restored) -> list[str]:
        """Bring in checkpoints whose events are in and whose bytes are not; return those that are still missing."""
        restore_checkpoints(self._journal, store, wanted_checkpoints(self._journal, self.runs), restored)
        wanted = {*wanted_checkpoints(self._journal, self.runs), *self._awaited}
        return sorted(wanted.difference(self._journal.blobs.names()))

    def _gaps_in(self, names: Iterable[SegmentName | ResultsName]) -> list[str]:
        with self._journal.begin(read_only=True) as connection:
            pruned = prunable.pruned(connection)
            segments = [name for name in names if isinstance(name, SegmentName) and name.run not in pruned]
            return gaps.gaps(connection, segments)

    def _note(self, restored: Restored, missing: Iterable[str]) -> None:
        damaged = [what for what in restored.damaged if what not in restored.refused]
        absent = [*self._gaps, *(f"checkpoint {sha256}, which a run needs" for sha256 in missing)]
        found = [*damaged, *(f"missing: {what}" for what in absent)]
        self.troubles = {what: self.troubles.get(what, self._clock()) for what in found}
        self.other_models += [why for why in restored.other_models if why not in self.other_models]

    def _hand_back(self, store: MarkedStore) -> None:
        if self._results is None:
            self._results = ResultsMirroring(JournalReader(self._journal), store, self._clock)
        self._results.step(self.runs)
        self._taken |= self._own()

    def _own(self) -> set[str]:
        """Return the names of the results that were written from here."""
        return self._results.written if self._results else set()

    def _is_over(self) -> bool:
        if len(self.lasting_troubles) < len(self.troubles):
            return False
        with self._journal.begin(read_only=True) as connection:
            return not over.are_going_on(connection, utc_now(), self.runs)


def _parsed(name: str) -> SegmentName | ResultsName | None:
    return SegmentName.parse(name) or ResultsName.parse(name)
