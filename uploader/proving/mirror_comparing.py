"""What a mirror knows of the events of a proof: it is a second copy of them, on what outlives the machine.

It signs nothing. That both are equal shows that the events were not changed since they were mirrored, unless the mirror
was changed as well; so it is worth as much as the mirror is out of reach of whoever made the proof.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from journal.errors import DamagedMirror
from journal.kinds import CHECKPOINT
from journal.mirror.layout import RUNS, SegmentName
from journal.mirror.segment_reading import least, read_segment
from journal.mirror.segments import columns
from journal.mirror.stores import Source
from journal.reading.recorded_events import is_digest
from uploader.proof.leaves import Leaf, payload_digest
from uploader.proof.merkle import leaf_hash
from uploader.proof.trees import SessionTree


@dataclass
class Comparison:
    """How a mirror and a proof agree.

    Attributes:
        same: How many of the proof's events the mirror has, with the same content.
        different: In words, which it has with another content.
        damaged: In words, what of the mirror could not be read.
    """

    same: int = 0
    different: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def compare(mirror: Source, run: str, trees: Mapping[str, SessionTree]) -> Comparison:
    """Compare the events of a proof with those of a mirror.

    Args:
        mirror: The mirror.
        run: Uuid of the run.
        trees: Of the proof's sessions, by their uuids.

    Raises:
        MirrorUnavailable: The mirror cannot be read.
    """
    found = Comparison()
    by_session: dict[str, list[SegmentName]] = defaultdict(list)
    for name in filter(None, (SegmentName.parse(each.name) for each in mirror.list(f"{RUNS}{run}/"))):
        by_session[name.session].append(name)
    for session, names in sorted(by_session.items()):
        if session in trees:
            _compare_session(mirror, names, trees[session].hashes, found)
    return found


def _compare_session(mirror: Source, names: Sequence[SegmentName], hashes: Sequence[bytes], found: Comparison) -> None:
    same: set[int] = set()
    for leaf in _leaves(mirror, names, found):
        if leaf.seq > len(hashes):
            continue
        if leaf_hash(leaf.entry().encode()) == hashes[leaf.seq - 1]:
            same.add(leaf.seq)
        else:
            found.different.append(f"event {leaf.seq} ({leaf.kind} {leaf.key}) of session {leaf.session}")
    found.same += len(same)


def _leaves(mirror: Source, names: Sequence[SegmentName], found: Comparison) -> Iterator[Leaf]:
    """Yield the events of a session's segments; what is damaged is replaced by what it has made unnecessary."""
    needed, others = least(names)
    for name in needed:
        try:
            lines = read_segment(mirror, name).lines
        except DamagedMirror as error:
            found.damaged.append(str(error))
            yield from _leaves(mirror, [other for other in others if name.covers(other)], found)
        else:
            leaves = [leaf for line in lines if (leaf := _leaf(name.session, line))]
            yield from leaves
            if strange := len(lines) - len(leaves):
                found.damaged.append(f"{name} is damaged: {strange} of its lines are no events")


def _leaf(session: str, line: bytes) -> Leaf | None:
    event = columns(line)
    if event is None or not isinstance(event["seq"], int):
        return None
    payload, kind = str(event["payload"]), event["kind"]
    blob = _blob(payload) if kind == CHECKPOINT else None
    return Leaf(session, event["seq"], kind, event["key"], payload_digest(payload.encode()), blob)


def _blob(payload: str) -> str | None:
    """Return the sha256 that a checkpoint's payload names, as `recorded_events` reads it."""
    try:
        value = json.loads(payload)["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if is_digest(value) else None
