"""Restoring a journal from a mirror: whatever the journal has already stays, and doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby

from sqlalchemy import text

from journal.checkpoints import retaking
from journal.checkpoints.blobs import Snapshot
from journal.errors import DamagedMirror, LibraryMissing
from journal.folder import Journal
from journal.mirror import gaps, journal_reader
from journal.mirror.fetching import Fetch, fetching, ready_together
from journal.mirror.layout import RUNS, ResultsName, SegmentName, blob_name
from journal.mirror.needed_checkpoints import NeededCheckpoints, saved
from journal.mirror.segment_reading import least, read_results, read_segment
from journal.mirror.segments import Segment, columns
from journal.mirror.stores import Source
from journal.outbox import results_intake
from journal.outbox.run_results import Results
from journal.retention import prunable
from journal.sessions.origin import ELSEWHERE, PLACE
from journal.writing import fallback_intake

_FROM_ELSEWHERE = text("UPDATE facts SET value = :elsewhere WHERE name = :place").bindparams(
    place=PLACE, elsewhere=ELSEWHERE
)


@dataclass
class Restored:
    """What a restoring came to.

    Attributes:
        runs: Uuids of the runs that the mirror has.
        events: How many events were new to the journal.
        checkpoints: How many checkpoints were.
        bytes: The size of these.
        damaged: In words, what could not be read.
        missing: Checkpoints that a run needs and the mirror does not have, by sha256.
        gaps: In words, events that the mirror does not have, though it has later ones, nor has the journal.
        delivered: How many deliveries are known to have arrived that were not before.
        results: What platforms have taken, as the mirror tells it.
        refused: In words, what results say that does not fit the journal; `damaged` has it, too.
        other_models: In words, the runs that are another model there than here; `damaged` has them, too.
        left: The names of objects that were not taken in, or not whole.
        unreadable: Checkpoints for which a library is missing, by sha256. Their events are left out until it is there.
    """

    runs: list[str] = field(default_factory=list)
    events: int = 0
    checkpoints: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    delivered: int = 0
    results: list[Results] = field(default_factory=list, repr=False)
    refused: list[str] = field(default_factory=list)
    other_models: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list, repr=False)
    unreadable: set[str] = field(default_factory=set, repr=False)

    @property
    def troubles(self) -> list[str]:
        """In words, what of the mirror is damaged or missing."""
        checkpoints = [f"checkpoint {sha256}, which a run needs" for sha256 in self.missing]
        return [*self.damaged, *(f"missing: {what}" for what in (*self.gaps, *checkpoints))]


def restore(
    journal: Journal,
    store: Source,
    runs: Collection[str] | None = None,
    between: Callable[[], object] = lambda: None,
    puts_off: Callable[[str], bool] = lambda _: False,
) -> Restored:
    """Bring what a mirror holds into a journal.

    Args:
        journal: It may be new, or have a part or all of it.
        store: The mirror.
        runs: Only these runs, by their uuids; None for all.
        between: Called after each object.
        puts_off: Whether the event of a checkpoint, by its sha256, is left out for now because its bytes are not there.

    Raises:
        MirrorUnavailable: The mirror cannot be read. What was restored until then stays.
        JournalError: The journal cannot be written.
    """
    restored = Restored()
    with journal.on_one_connection() as connected:
        _restore(connected, store, runs, restored, between=between, puts_off=puts_off)
    return restored


def _restore(
    journal: Journal,
    store: Source,
    runs: Collection[str] | None,
    restored: Restored,
    *,
    between: Callable[[], object],
    puts_off: Callable[[str], bool],
) -> None:
    restored.results, damaged = read_all_results(store, runs)
    restored.damaged += damaged.values()
    restored.left += damaged
    _take_results(journal, restored, has_events=False)  # so that no drain plans meanwhile what has arrived
    named = segment_names(store, runs)
    with journal.begin(read_only=True) as connection:
        pruned = prunable.pruned(connection)
    sessions = _in_order(_sessions(store, [name for name in named if name.run not in pruned], restored))
    tried: set[str] = set()
    for _, own in groupby(sessions, key=lambda session: session[0].header.run.id):
        parts = [part for _, parts in own for part in parts]
        tried |= _restore_run(journal, store, parts, restored, between=between, puts_off=puts_off)
    restored.runs = sorted({name.run for name in named})
    if restored.events:
        with journal.begin() as connection:  # have drains ask platforms whether they know more, from the lost machine
            connection.execute(_FROM_ELSEWHERE)
    _take_results(journal, restored, has_events=True)
    others = set(wanted_checkpoints(journal, restored.runs)) - tried  # of events that were there before
    restore_checkpoints(journal, store, sorted(others), restored, between)
    with journal.begin(read_only=True) as connection:
        restored.gaps = gaps.gaps(connection, [name for name in named if name.run not in pruned])


def _restore_run(
    journal: Journal,
    store: Source,
    parts: Sequence[Segment],
    restored: Restored,
    *,
    between: Callable[[], object],
    puts_off: Callable[[str], bool],
) -> set[str]:
    """Bring a run in, its checkpoints first: a drain that plans the upload of one finds its bytes.

    Return the sha256 of each checkpoint that was looked for.
    """
    needed = NeededCheckpoints()
    for part in parts:
        needed.note(part)
    absent = needed.sha256s().difference(journal.blobs.names())
    restore_checkpoints(journal, store, sorted(absent), restored, between)
    still = absent.difference(journal.blobs.names()) if absent else absent
    waiting = {sha256 for sha256 in still if sha256 in restored.unreadable or puts_off(sha256)}
    for part in parts:
        events = [event for line in part.lines if (event := columns(line))]
        ready = [event for event in events if not waiting or saved(event) not in waiting]
        restored.left += [str(part.name)] if len(ready) < len(events) else []
        restored.events += fallback_intake.ingest_whole(journal.begin, str(part.name), part.header, ready)
        between()
    return absent


def read_all_results(store: Source, runs: Collection[str] | None) -> tuple[list[Results], dict[str, str]]:
    """Return the results that a mirror has, and in words, by name, what is damaged: its deliveries may be sent again.

    Args:
        store: The mirror.
        runs: Of these runs only, by their uuids; None for all.

    Raises:
        MirrorUnavailable: The mirror cannot be read.
    """
    found, damaged = [], {}
    for name in filter(None, map(ResultsName.parse, _names(store, runs))):
        try:
            found.append(read_results(store, name))
        except DamagedMirror as error:
            damaged[str(name)] = str(error)
    return found, damaged


def _take_results(journal: Journal, restored: Restored, *, has_events: bool) -> None:
    for one in restored.results:
        with journal.begin() as connection:
            taken = results_intake.take_in(connection, one, has_events=has_events)
        restored.delivered += taken.delivered
        restored.damaged += taken.refused
        restored.refused += taken.refused
        restored.other_models += (why for why in taken.other_models if why not in restored.other_models)


def segment_names(store: Source, runs: Collection[str] | None) -> list[SegmentName]:
    """Return the segments that a mirror has of some runs; None for all.

    Raises:
        MirrorUnavailable: It cannot be read now.
    """
    return [name for name in map(SegmentName.parse, _names(store, runs)) if name]


def _names(store: Source, runs: Collection[str] | None) -> Iterator[str]:
    prefixes = [RUNS] if runs is None else [f"{RUNS}{run}/" for run in sorted(runs)]
    return (found.name for prefix in prefixes for found in store.list(prefix))


def _sessions(
    store: Source, names: Iterable[SegmentName], restored: Restored
) -> Iterator[tuple[Segment, Iterator[Segment]]]:
    """Yield the first readable segment of each session, and all of them."""
    by_session: dict[tuple[str, str], list[SegmentName]] = {}
    for name in names:
        by_session.setdefault(name[:2], []).append(name)
    for own in by_session.values():
        parts = _readable(store, own, restored)
        if first := next(parts, None):
            yield first, chain([first], parts)


def _readable(store: Source, names: Sequence[SegmentName], restored: Restored) -> Iterator[Segment]:
    """Yield a session's segments; one that is damaged is replaced by those that it has made unnecessary."""
    needed, others = least(names)
    for name in needed:
        try:
            part = read_segment(store, name)
        except DamagedMirror as error:
            restored.damaged.append(str(error))
            restored.left.append(str(name))
            yield from _readable(store, [other for other in others if name.covers(other)], restored)
        else:
            yield part


def _in_order(
    sessions: Iterable[tuple[Segment, Iterator[Segment]]],
) -> list[tuple[Segment, Iterator[Segment]]]:
    """Return sessions in the order in which their journals had them: runs as they began, and each run's sessions."""

    def place(session: tuple[Segment, Iterator[Segment]]) -> tuple[str, str, int, str, str]:
        header = session[0].header
        return header.run.created_at, header.run.id, header.generation or 0, header.started_at, header.session or ""

    return sorted(sessions, key=place)


def wanted_checkpoints(journal: Journal, runs: Sequence[str]) -> Sequence[str]:
    """Return the checkpoints that the events of runs name as needed and the journal does not have, by sha256."""
    with journal.begin(read_only=True) as connection:
        needed = {sha256 for _, sha256 in journal_reader.wanted_blobs(connection, runs)}
    return sorted(needed.difference(journal.blobs.names()))


def restore_checkpoints(
    journal: Journal,
    store: Source,
    sha256s: Iterable[str],
    restored: Restored,
    between: Callable[[], object] = lambda: None,
) -> None:
    """Bring the bytes of checkpoints into a journal, and add what comes of it to `restored`.

    Args:
        journal: The journal.
        store: Where they are.
        sha256s: Of the bytes.
        restored: What was restored so far.
        between: Called after each.

    Raises:
        MirrorUnavailable: The mirror cannot be read. What was restored until then stays.
        JournalError: The journal cannot be written.
    """
    with journal.on_one_connection() as connected, fetching(store, sha256s, journal.local_blobs.folder) as fetches:
        for several in ready_together(fetches):
            _take_in(connected, [one for one in several if _is_whole(one, restored)], restored)
            for _ in several:
                between()


def _is_whole(fetch: Fetch, restored: Restored) -> bool:
    """Wait for a checkpoint, and add to `restored` what is wrong with it."""
    try:
        content = fetch.content()
    except (DamagedMirror, LibraryMissing) as error:
        restored.damaged += [] if str(error) in restored.damaged else [str(error)]
        restored.unreadable |= {fetch.sha256} if isinstance(error, LibraryMissing) else set()
        return False
    if content is None:
        restored.missing.append(fetch.sha256)
    elif content != fetch.sha256:
        restored.damaged.append(f"{blob_name(fetch.sha256)} is damaged: its content is not what its name says")
    return content == fetch.sha256


def _take_in(journal: Journal, fetches: Iterable[Fetch], restored: Restored) -> None:
    snapshots = [Snapshot(one.copy, one.sha256, one.copy.stat().st_size) for one in fetches]
    if snapshots and journal.shared_blobs:
        from journal.shared_blobs import blob_intake  # a journal in a file needs none of it

        blob_intake.take_in(journal.begin, journal.shared_blobs, snapshots)
    elif snapshots:
        with journal.begin() as connection:
            for snapshot in snapshots:
                retaking.take_in(connection, journal.local_blobs, snapshot)
    restored.checkpoints += len(snapshots)
    restored.bytes += sum(snapshot.size for snapshot in snapshots)
