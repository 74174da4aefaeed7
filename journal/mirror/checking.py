"""Checking a mirror: everything is read back and compared with its name, and with what else the mirror has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from journal.errors import DamagedMirror, LibraryMissing
from journal.mirror import checkpoint_parts, gaps
from journal.mirror.layout import BLOBS, PARTS, RUNS, ResultsName, SegmentName, parse_blob, parse_list
from journal.mirror.needed_checkpoints import NeededCheckpoints
from journal.mirror.parts import PartList
from journal.mirror.segment_reading import least, read_results, read_segment
from journal.mirror.segments import Segment
from journal.mirror.stores import Store


@dataclass
class Checked:
    """What a check came to.

    Attributes:
        runs: How many runs the mirror has.
        segments: How many segments.
        events: How many events, each counted once.
        checkpoints: How many checkpoints.
        bytes: The size of all.
        damaged: In words, what is not what its name says, or cannot be read.
        missing: In words, what is named by something else of the mirror and is not there.
    """

    runs: int = 0
    segments: int = 0
    events: int = 0
    checkpoints: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check(store: Store, between: Callable[[], object] = lambda: None) -> Checked:
    """Read everything in a mirror.

    Args:
        store: The mirror.
        between: Called after each object.

    Raises:
        MirrorUnavailable: It cannot be read now.
    """
    checked, needed = Checked(), NeededCheckpoints()
    by_session: dict[str, list[SegmentName]] = {}
    for found in store.list(RUNS):
        checked.bytes += found.size
        if name := SegmentName.parse(found.name):
            by_session.setdefault(name.session, []).append(name)
        elif results := ResultsName.parse(found.name):
            _check_results(store, results, checked)
    checked.runs = len({name.run for names in by_session.values() for name in names})
    for names in by_session.values():
        parts = _parts(store, names, checked, between)
        for part in _whole(parts, names):
            needed.note(part)
            checked.events += len(part.lines)
        checked.missing += _gaps(names)
        checked.damaged += _breaks(parts.values())
    there = _check_blobs(store, checked, between)
    checked.missing += [f"checkpoint {sha256}, which a run needs" for sha256 in sorted(needed.sha256s() - there)]
    return checked


def _check_results(store: Store, name: ResultsName, checked: Checked) -> None:
    try:
        read_results(store, name)
    except DamagedMirror as error:
        checked.damaged.append(str(error))


def _parts(
    store: Store, names: Iterable[SegmentName], checked: Checked, between: Callable[[], object]
) -> dict[SegmentName, Segment]:
    parts = {}
    for name in names:
        try:
            parts[name] = read_segment(store, name)
            checked.segments += 1
        except DamagedMirror as error:
            checked.damaged.append(str(error))
        between()
    return parts


def _whole(parts: dict[SegmentName, Segment], names: Iterable[SegmentName]) -> Iterator[Segment]:
    """Yield the segments that together have each event once, or nearly so where two overlap."""
    needed, _ = least(name for name in names if name in parts)
    return (parts[name] for name in needed)


def _gaps(names: Iterable[SegmentName]) -> list[str]:
    needed, _ = least(names)
    found, expected = [], 1
    for name in needed:
        if name.first > expected:
            found.append(gaps.in_words(name, expected, name.first - 1))
        expected = max(expected, name.last + 1)
    return found


def _breaks(parts: Iterable[Segment]) -> list[str]:
    """Return, in words, where a segment does not go on from the one before it."""
    after = {part.name.last: part.after for part in parts}
    return [
        f"{part.name} does not continue the events before it"
        for part in parts
        if part.before is not None and after.get(part.name.first - 1, part.before) != part.before
    ]


def _check_blobs(store: Store, checked: Checked, between: Callable[[], object]) -> set[str]:
    there = set()
    for found in store.list(BLOBS):
        checked.bytes += found.size
        sha256 = parse_blob(found.name) or parse_list(found.name)
        if sha256 is None:
            continue
        there.add(sha256)
        if why := _why_damaged(store, found.name, sha256, between):
            checked.damaged.append(why)
        else:
            checked.checkpoints += 1
        between()
    checked.bytes += sum(found.size for found in store.list(PARTS))
    return there


def _why_damaged(store: Store, name: str, sha256: str, between: Callable[[], object]) -> str | None:
    """Return why a checkpoint cannot be read back; None if it can, or is compressed and each part is what it was."""
    wrong = f"{name} is damaged: its content is not what its name says"
    if parse_blob(name):
        return None if store.digest(name) == sha256 else wrong
    content, whole = store.get(name) or b"", hashlib.sha256()
    try:
        for piece in checkpoint_parts.read(store, sha256, content):
            whole.update(piece)
            between()
    except LibraryMissing:
        return _why_parts_damaged(store, name, sha256, content)
    except DamagedMirror as error:
        return str(error)
    return None if whole.hexdigest() == sha256 else wrong


def _why_parts_damaged(store: Store, name: str, sha256: str, content: bytes) -> str | None:
    try:
        for _ in checkpoint_parts.stored_parts(store, sha256, PartList.from_bytes(name, content)):
            pass
    except DamagedMirror as error:
        return str(error)
    return None
