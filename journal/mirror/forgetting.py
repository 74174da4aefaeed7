"""Deleting runs from a mirror on a person's word.

The checkpoints that no other run has go first and the events last, so a deletion that is interrupted can be repeated. A
note stays that the run was forgotten: drains of journals that still have it do not bring it back. A training that goes
on with it does, whole: what a training records is never lost to this.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from journal.clock import now_text
from journal.errors import DamagedMirror
from journal.mirror import checkpoint_parts
from journal.mirror.layout import (
    BLOBS,
    PARTS,
    RUNS,
    ResultsName,
    SegmentName,
    forgotten_name,
    parse_blob,
    parse_list,
    parse_part,
)
from journal.mirror.needed_checkpoints import saved_in
from journal.mirror.numbers import Numbers
from journal.mirror.segment_reading import read_segment
from journal.mirror.stores import Listed, Store
from journal.records import Run


@dataclass
class MirroredRun:
    """A run as a mirror has it.

    Attributes:
        run: The run; its name is its uuid where none of its segments can be read.
        objects: Its segments and results.
        events: How many events it has.
        checkpoints: The sha256 of each checkpoint that its events name.
        bytes: The size of its objects.
        written_at: When the newest of these was written, in epoch seconds.
        is_readable: Whether all of its segments can be read.
    """

    run: Run
    objects: list[str]
    bytes: int
    written_at: float
    events: int = 0
    checkpoints: set[str] = field(default_factory=set)
    is_readable: bool = True


@dataclass(frozen=True)
class Doomed:
    """What goes when runs are forgotten.

    Attributes:
        runs: The runs.
        checkpoints: The sha256 of each checkpoint that they alone have.
        bytes: The size of all of it.
    """

    runs: Sequence[MirroredRun]
    checkpoints: Sequence[str]
    bytes: int


def read_runs(store: Store, between: Callable[[], object] = lambda: None) -> list[MirroredRun]:
    """Return the runs of a mirror; all of its segments are read.

    Args:
        store: The mirror.
        between: Called after each segment.

    Raises:
        MirrorUnavailable: It cannot be read now.
    """
    by_run: dict[str, list[Listed]] = {}
    for found in store.list(RUNS):
        if name := SegmentName.parse(found.name) or ResultsName.parse(found.name):
            by_run.setdefault(name.run, []).append(found)
    return [_read_run(store, run, own, between) for run, own in by_run.items()]


def doomed(store: Store, every: Collection[MirroredRun], chosen: Collection[str]) -> Doomed:
    """Return what goes when some runs are forgotten.

    Args:
        store: The mirror.
        every: All of its runs, from `read_runs`.
        chosen: The uuids of those to be forgotten.

    Raises:
        MirrorUnavailable: It cannot be read now.
    """
    going = [one for one in every if one.run.id in chosen]
    staying = [one for one in every if one.run.id not in chosen]
    sizes: dict[str, int] = {}
    for found in (one for prefix in (BLOBS, PARTS) for one in store.list(prefix)):
        if sha256 := parse_blob(found.name) or parse_list(found.name) or parse_part(found.name):
            sizes[sha256] = sizes.get(sha256, 0) + found.size
    own = {sha256 for one in going for sha256 in one.checkpoints}.intersection(sizes)
    needed = {sha256 for one in staying for sha256 in one.checkpoints}
    if not all(one.is_readable for one in staying):  # nobody knows what these need
        needed |= own
    alone = sorted(own - needed)
    return Doomed(going, alone, sum(one.bytes for one in going) + sum(sizes[sha256] for sha256 in alone))


def forget(store: Store, going: Doomed, between: Callable[[], object] = lambda: None) -> None:
    """Delete runs from a mirror.

    Args:
        store: The mirror.
        going: From `doomed`.
        between: Called after each object.

    Raises:
        MirrorUnavailable: It cannot be written now. To do it again does the rest.
    """
    for one in going.runs:
        note = {"format": 1, "run": one.run.id, "name": one.run.name, "forgotten_at": now_text()}
        store.put(forgotten_name(one.run.id), json.dumps(note).encode() + b"\n")
    for sha256 in going.checkpoints:
        checkpoint_parts.delete(store, sha256)
        between()
    for name in (name for one in going.runs for name in one.objects):
        store.delete(name)
        between()


def is_forgotten(store: Store, run: str) -> bool:
    """Return whether a person had a mirror forget a run, and no training has gone on with it since.

    Raises:
        MirrorUnavailable: It cannot be read now.
    """
    return store.get(forgotten_name(run)) is not None


def _read_run(store: Store, run: str, own: Collection[Listed], between: Callable[[], object]) -> MirroredRun:
    unknown = Run(run, None, run, "", "")
    written_at = max(found.written_at for found in own)
    made = MirroredRun(unknown, [found.name for found in own], sum(found.size for found in own), written_at)
    numbers: dict[str, Numbers] = {}
    for name in (name for found in own if (name := SegmentName.parse(found.name))):
        numbers.setdefault(name.session, Numbers()).add(name.first, name.last)
        try:
            part = read_segment(store, name)
        except DamagedMirror:
            made.is_readable = False
            continue
        made.run = part.header.run
        made.checkpoints |= saved_in(part)
        between()
    made.events = sum(map(len, numbers.values()))
    return made
