"""Mirroring: what a journal has of some runs is handed to a store, over and over, as it is written.

What the store has is known from its listing, so nothing is lost with the journal, nor by a process that was killed at
any point: an object that was put and not noted is put again, which changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from journal.clock import now_text
from journal.errors import BlobMissing, DamagedMirror
from journal.folder import Journal
from journal.kinds import CHECKPOINT
from journal.mirror import journal_reader, segments
from journal.mirror.compacting import Compacting
from journal.mirror.holdings import Holdings
from journal.mirror.journal_reader import JournalReader
from journal.mirror.layout import BLOBS, RUNS, SegmentName, blob_name, parse_blob
from journal.mirror.mirror_state import MirrorState
from journal.mirror.results_mirroring import ResultsMirroring
from journal.mirror.segment_reading import least, read_segment
from journal.mirror.stores import Listed, Store
from journal.reading.places import MIRROR_NOTE
from journal.writing.fallback_format import Header

STEP_SECONDS = 1.0
"""Events are handed over at least so often, as long as the store answers."""
_WHAT_IT_IS = b"""{
  "format": 1,
  "what": "a mirror of training runs that offline-uploader recorded",
  "restore": "python -m uploader restore <this folder or address>"
}
"""


@dataclass(frozen=True)
class _New:
    """Events of one session that the mirror does not have, with numbers that follow each other."""

    header: Header
    entries: list[tuple[str, str, str, str, int]]


class Mirroring:
    """Mirrors some runs of a journal into a store. One thread owns it; see `Mirroring.step`."""

    def __init__(
        self,
        journal: Journal,
        store: Store,
        runs: Collection[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to mirror.

        Args:
            journal: It is read by connections of their own, and stays the caller's.
            store: The mirror.
            runs: Uuids of the runs; None for all that there are at any time.
            clock: Seconds; never goes back.
        """
        self._reader = JournalReader(journal)
        self._store = store
        self._runs = runs
        self._is_listed = self._is_marked = False
        self._holdings = Holdings()
        self._compacting = Compacting(store, self._holdings, clock)
        self._chains: dict[str, tuple[int, str]] = {}
        self._results = ResultsMirroring(self._reader, store, clock)
        self._blobs: set[str] = set()
        self._needed: set[tuple[str, str]] = set()
        self._are_blobs_due = True
        self._clock = clock
        self._events_due = clock()
        self._seen = -1

    def state(self, run: str) -> MirrorState:
        """Return how far a run is mirrored."""
        needed = {sha256 for its, sha256 in self._needed if its == run}
        missing = needed - self._blobs
        here = missing.intersection(self._reader.journal.blobs.names()) if missing else missing
        return MirrorState(
            self._store.address,
            run,
            self._store.confirms,
            events=self._holdings.events(run),
            checkpoints=len(needed & self._blobs),
            missing=len(here),
            gone=len(missing - here),
            tried_at=now_text(),
        )

    def step(self, *, is_last: bool = False) -> int:
        """Hand over everything that is new, events before checkpoints; return how many events that were.

        Args:
            is_last: Whether nothing more comes: what is usually left to a later step is done now.

        Raises:
            MirrorUnavailable: The store cannot be used now.
            JournalError: The journal cannot be read, or not be flushed.
        """
        events = self._step_events()
        self._step_blobs()
        self._compacting.step(is_last=is_last)
        self._results.step(self._chosen(), is_last=is_last)
        return events

    def _step_events(self) -> int:
        self.look()
        if not self._is_marked:
            self._store.put(MIRROR_NOTE, _WHAT_IT_IS)
            self._is_marked = True
        self._events_due = self._clock() + STEP_SECONDS
        done = 0
        while new := self._new():
            self._reader.journal.flush()  # nothing leaves the machine that a power cut could still take from it
            for group in new:
                self._put(group)
                self._are_blobs_due |= any(entry[0] == CHECKPOINT for entry in group.entries)
                done += len(group.entries)
        return done

    def look(self) -> None:
        """Learn what the store has, once; `step` does so, too."""
        if self._is_listed:
            return
        prefixes = [RUNS] if self._runs is None else [f"{RUNS}{run}/" for run in self._runs]
        listed = {name: found.written_at for prefix in prefixes for found, name in self._listed(prefix)}
        for session in {name.session for name in listed}:
            self._note_listed([name for name in listed if name.session == session], listed)
        self._blobs = {sha256 for found in self._store.list(BLOBS) if (sha256 := parse_blob(found.name))}
        self._is_listed = True

    def _listed(self, prefix: str) -> Iterator[tuple[Listed, SegmentName]]:
        return ((found, name) for found in self._store.list(prefix) if (name := SegmentName.parse(found.name)))

    def _note_listed(self, names: Sequence[SegmentName], written_at: Mapping[SegmentName, float]) -> None:
        """Note a session's segments; those that others make unnecessary are left from before these were merged."""
        needed, others = least(names)
        for name in needed:
            self._holdings.add(name)
        for name in others:
            by = next(one for one in needed if one.covers(name))
            self._compacting.discard(str(name), name, age=time.time() - written_at[by])

    def _new(self) -> list[_New]:
        """Return the next events that the store does not have; nothing if no event came in since there were none."""
        runs = self._chosen()
        with self._reader.begin() as connection:
            newest = journal_reader.newest_event(connection)
            if newest == self._seen and not self._holdings.take_forgotten():
                return []
            found: list[_New] = []
            for session in journal_reader.sessions(connection, runs):
                new = journal_reader.entries(connection, session.id, self._holdings.numbers(session.uuid))
                groups = list(segments.divided(new))
                if groups:
                    header = journal_reader.header(connection, session)
                    found += [_New(header, group) for group in groups]
        if not found:
            self._seen = newest
        return found

    def _chosen(self) -> Collection[str]:
        if self._runs is not None:
            return self._runs
        with self._reader.begin() as connection:
            return journal_reader.runs(connection)

    def _put(self, new: _New) -> None:
        segment = segments.make(new.header, new.entries, self._before(new))
        self._store.put(str(segment.name), segment.content())
        self._holdings.add(segment.name)
        self._chains[segment.name.session] = (segment.name.last, segment.after)

    def _before(self, new: _New) -> str | None:
        """Return the chain up to some events; None where the mirror does not have the event before them."""
        first, session = new.entries[0][4], new.header.session or ""
        last, so_far = self._chains.get(session, (0, ""))
        if last == first - 1:
            return so_far or None
        before = self._holdings.ending_at(session, first - 1)
        try:
            return read_segment(self._store, before).after if before else None
        except DamagedMirror:
            return None

    def _step_blobs(self) -> None:
        """Hand over checkpoints; events that are written meanwhile do not wait for that."""
        if not self._are_blobs_due:
            return
        self._are_blobs_due = False
        try:
            self._needed = self._wanted()
            for sha256 in sorted({sha256 for _, sha256 in self._needed} - self._blobs):
                self._put_blob(sha256)
            self._discard_blobs()
        except BaseException:
            self._are_blobs_due = True
            raise

    def _wanted(self) -> set[tuple[str, str]]:
        runs = self._chosen()
        with self._reader.begin() as connection:
            return journal_reader.wanted_blobs(connection, runs)

    def _discard_blobs(self) -> None:
        """Have checkpoints deleted that newer ones have replaced, once the store has all of these."""
        runs, needed = self._chosen(), {sha256 for _, sha256 in self._needed}
        if needed <= self._blobs:
            with self._reader.begin() as connection:
                saved = journal_reader.saved_blobs(connection, runs)
                others = journal_reader.wanted_blobs(connection, journal_reader.runs(connection))
            for sha256 in (saved & self._blobs) - needed - {sha256 for _, sha256 in others}:
                self._blobs.remove(sha256)
                self._compacting.discard(blob_name(sha256))

    def _put_blob(self, sha256: str) -> None:
        try:
            file = self._reader.journal.blobs.path(sha256).open("rb")
        except (BlobMissing, FileNotFoundError):  # a newer one has taken its place
            return
        with file:
            self._store.put_file(blob_name(sha256), file, sha256, self._between)
        self._blobs.add(sha256)

    def _between(self) -> None:
        if self._clock() >= self._events_due:
            self._step_events()
