"""Reading a mirror: which of its segments are needed, and what its objects are, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from journal.errors import DamagedMirror, DamagedResults
from journal.mirror import segments
from journal.mirror.layout import ResultsName, SegmentName
from journal.mirror.segments import Segment
from journal.mirror.stores import Source
from journal.outbox import run_results
from journal.outbox.run_results import Results


def least(names: Iterable[SegmentName]) -> tuple[list[SegmentName], list[SegmentName]]:
    """Divide a session's segments: those that have all there is, in order, and those that others make unnecessary.

    Both are there while small segments are being merged, and where two machines have mirrored the same events.
    """
    needed: list[SegmentName] = []
    others: list[SegmentName] = []
    for name in sorted(names, key=lambda name: (name.first, -name.last, name.digest)):
        (others if needed and needed[-1].covers(name) else needed).append(name)
    return needed, others


def read_results(store: Source, name: ResultsName) -> Results:
    """Return results of a mirror.

    Raises:
        DamagedMirror: They are not there, or not what their name says.
        MirrorUnavailable: They cannot be read now.
    """
    content = store.get(str(name)) or b""
    try:
        if hashlib.sha256(content).hexdigest()[:32] != name.digest:
            raise DamagedResults("its content is not what its name says")
        return run_results.from_bytes(content)
    except DamagedResults as error:
        raise DamagedMirror(f"{name} is damaged: {error}") from error


def read_segment(store: Source, name: SegmentName) -> Segment:
    """Return a segment of a mirror.

    Raises:
        DamagedMirror: It is not there, or not what its name says.
        MirrorUnavailable: It cannot be read now.
    """
    stored = store.get(str(name))
    if stored is None:
        raise DamagedMirror(f"{name} was listed, but is not there")
    return segments.parse(name, stored)
