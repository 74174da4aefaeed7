"""Mirroring: what a journal has of some runs is handed to a store, over and over, as it is written.

What the store has is known from its listing, so nothing is lost with the journal, nor by a process that was killed at
any point: an object that was put and not noted is put again, which changes nothing. After a failure the listing is
looked at anew, as a drive that comes back may have less than what was written to it, and at the end, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from journal.clock import now_text
from journal.errors import BlobMissing, DamagedMirror, MirrorUnavailable
from journal.folder import Journal
from journal.kinds import CHECKPOINT
from journal.mirror import checkpoint_parts, journal_reader, segments
from journal.mirror.compacting import Compacting
from journal.mirror.holdings import Holdings
from journal.mirror.journal_reader import JournalReader
from journal.mirror.layout import (
    BLOBS,
    FORGOTTEN,
    PARTS,
    RUNS,
    SegmentName,
    parse_blob,
    parse_forgotten,
    parse_list,
    parse_part,
)
from journal.mirror.marked_store import MarkedStore
from journal.mirror.mirror_state import MirrorState
from journal.mirror.results_mirroring import ResultsMirroring
from journal.mirror.segment_reading import least, read_segment
from journal.mirror.stores import Listed, Store
from journal.writing.fallback_format import Header

STEP_SECONDS = 1.0
"""Events are handed over at least so often, as long as the store answers."""


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
        has_moved: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin to mirror.

        Args:
            journal: It is read by connections of their own, and stays the caller's.
            store: The mirror.
            runs: Uuids of the runs; None for all that there are at any time.
            clock: Seconds; never goes back.
            has_moved: Called whenever the store has taken something, in one of this class's own steps.
        """
        self._has_moved = has_moved
        self._reader = JournalReader(journal)
        self._store = MarkedStore(store, self._is_same)
        self._runs = runs
        self._clock = clock
        self._needed: set[tuple[str, str]] = set()
        self._events_due = clock()
        self._had: set[SegmentName] = set()
        self._holdings = Holdings()
        self._forget()

    def _forget(self) -> None:
        """Have what the store has learned from its listing, not from what was written."""
        self._is_listed = False
        self._had = self._holdings.all_names() or self._had
        self._holdings = Holdings()
        self._compacting = Compacting(self._store, self._holdings, self._clock)
        self._chains: dict[str, tuple[int, str]] = {}
        self._results = ResultsMirroring(self._reader, self._store, self._clock)
        self._blobs: set[str] = set()
        self._begun: set[str] = set()  # checkpoints of which there are parts, left by an upload that was interrupted
        self._are_blobs_due = True
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
            lacking=self._lacking(run),
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
        try:
            events = self._step(is_last=is_last)
            if is_last and not self._is_listed_still():
                self._forget()
                events += self._step(is_last=is_last)
            return events
        except MirrorUnavailable:
            self._forget()
            raise

    def _step(self, *, is_last: bool) -> int:
        events = self._step_events()
        self._step_blobs()
        self._compacting.step(is_last=is_last)
        self._results.step(self._chosen(), is_last=is_last)
        return events

    def _is_same(self) -> bool:
        """Return whether the store lists the events that the mirror is known to have had."""
        return (self._holdings.all_names() or self._had) <= set(self._segments_there())

    def _lacking(self, run: str) -> int:
        with self._reader.begin() as connection:
            sessions = journal_reader.sessions(connection, [run])
            return sum(journal_reader.lacking(connection, one.id, self._holdings.numbers(one.uuid)) for one in sessions)

    def _is_listed_still(self) -> bool:
        """Return whether the store lists all that it is known to have."""
        return self._holdings.all_names() <= set(self._segments_there()) and self._blobs <= self._blobs_there()

    def _step_events(self) -> int:
        if not self._is_listed:
            self._store.mark()
            self.look()
            self._remember()
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
        listed = self._segments_there()
        for session in {name.session for name in listed}:
            self._note_listed([name for name in listed if name.session == session], listed)
        self._blobs = self._blobs_there()
        self._begun = {sha256 for found in self._store.list(PARTS) if (sha256 := parse_part(found.name))} - self._blobs
        self._is_listed = True

    def _remember(self) -> None:
        """Delete the notes that these runs were forgotten: whoever mirrors them wants them there."""
        chosen = self._chosen()
        for name in [found.name for found in self._store.list(FORGOTTEN)]:
            if parse_forgotten(name) in chosen:
                self._store.delete(name)

    def _segments_there(self) -> dict[SegmentName, float]:
        """Return the segments that the store has, each with when it was written."""
        prefixes = [RUNS] if self._runs is None else [f"{RUNS}{run}/" for run in self._runs]
        return {name: found.written_at for prefix in prefixes for found, name in self._listed(prefix)}

    def _blobs_there(self) -> set[str]:
        names = (found.name for found in self._store.list(BLOBS))
        return {sha256 for name in names if (sha256 := parse_blob(name) or parse_list(name))}

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
        self._has_moved()
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
            for sha256 in (saved & (self._blobs | self._begun)) - needed - {sha256 for _, sha256 in others}:
                self._blobs.discard(sha256)
                self._begun.discard(sha256)
                self._compacting.discard_checkpoint(sha256)

    def _put_blob(self, sha256: str) -> None:
        try:
            file = self._reader.journal.local_blobs.path(sha256).open("rb")
        except (BlobMissing, FileNotFoundError):  # a newer one has taken its place
            return
        with file:
            checkpoint_parts.put(self._store, file, sha256, self._between)
        self._blobs.add(sha256)

    def _between(self) -> None:
        self._has_moved()
        if self._clock() >= self._events_due:
            self._step_events()
