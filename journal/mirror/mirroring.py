"""Mirroring: what a journal has of some runs is handed to a store, over and over, as it is written.

What the store has is known from its listing, so nothing is lost with the journal, nor by a process that was killed at
any point: an object that was put and not noted is put again, which changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from journal.errors import BlobMissing, DamagedMirror
from journal.folder import Journal
from journal.mirror import mirror_source, segments
from journal.mirror.layout import BLOBS, MARKER, RUNS, SegmentName, blob_name, parse_blob
from journal.mirror.numbers import Numbers
from journal.mirror.segment_reading import read_segment
from journal.mirror.stores import Store
from journal.writing.fallback_format import Header

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

    def __init__(self, journal: Journal, store: Store, runs: Collection[str] | None = None) -> None:
        """Begin to mirror.

        Args:
            journal: It is read by connections of their own, and stays the caller's.
            store: The mirror.
            runs: Uuids of the runs; None for all that there are at any time.
        """
        self._journal = journal
        self._store = store
        self._runs = runs
        self._is_listed = False
        self._held: dict[str, list[SegmentName]] = defaultdict(list)
        self._chains: dict[str, tuple[int, str]] = {}
        self._blobs: set[str] = set()
        self._seen = -1

    def step(self) -> int:
        """Hand over everything that is new, events before checkpoints; return how many events that were.

        Raises:
            MirrorUnavailable: The store cannot be used now.
            JournalError: The journal cannot be read, or not be flushed.
        """
        events = self._step_events()
        self._step_blobs()
        return events

    def _step_events(self) -> int:
        self._list()
        done = 0
        while new := self._new():
            self._journal.flush()  # nothing leaves the machine that a power cut could still take from it
            for group in new:
                self._put(group)
                done += len(group.entries)
        return done

    def _list(self) -> None:
        """Learn what the store has, once."""
        if self._is_listed:
            return
        self._store.put(MARKER, _WHAT_IT_IS)
        prefixes = [RUNS] if self._runs is None else [f"{RUNS}{run}/" for run in self._runs]
        for found in (found for prefix in prefixes for found in self._store.list(prefix)):
            if name := SegmentName.parse(found.name):
                self._held[name.session].append(name)
        self._blobs = {sha256 for found in self._store.list(BLOBS) if (sha256 := parse_blob(found.name))}
        self._is_listed = True

    def _new(self) -> list[_New]:
        """Return the next events that the store does not have; nothing if no event came in since there were none."""
        with self._journal.begin(read_only=True) as connection:
            newest = mirror_source.newest_event(connection)
            if newest == self._seen:
                return []
            found: list[_New] = []
            for session in mirror_source.sessions(connection, self._chosen(connection)):
                held = Numbers((name.first, name.last) for name in self._held[session.uuid])
                groups = list(segments.divided(mirror_source.entries(connection, session.id, held)))
                if groups:
                    header = mirror_source.header(connection, session)
                    found += [_New(header, group) for group in groups]
        if not found:
            self._seen = newest
        return found

    def _chosen(self, connection: Any) -> Collection[str]:
        return mirror_source.runs(connection) if self._runs is None else self._runs

    def _put(self, new: _New) -> None:
        segment = segments.make(new.header, new.entries, self._before(new))
        self._store.put(str(segment.name), segment.content())
        self._held[segment.name.session].append(segment.name)
        self._chains[segment.name.session] = (segment.name.last, segment.after)

    def _before(self, new: _New) -> str | None:
        """Return the chain up to some events; None where the mirror does not have the event before them."""
        first, session = new.entries[0][4], new.header.session or ""
        last, so_far = self._chains.get(session, (0, ""))
        if last == first - 1:
            return so_far or None
        before = next((name for name in self._held[session] if name.last == first - 1), None)
        try:
            return read_segment(self._store, before).after if before else None
        except DamagedMirror:
            return None

    def _step_blobs(self) -> None:
        """Hand over checkpoints; events that are written meanwhile do not wait for that."""
        with self._journal.begin(read_only=True) as connection:
            wanted = mirror_source.wanted_blobs(connection, self._chosen(connection))
        for sha256 in sorted(wanted - self._blobs):
            try:
                path = self._journal.blobs.path(sha256)
            except BlobMissing:
                continue
            self._store.put_file(blob_name(sha256), path, self._step_events)
            self._blobs.add(sha256)
