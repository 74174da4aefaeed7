"""What a pack contains, read from a journal in one transaction: whole runs as segments, their results, checkpoints.

A run of which anything is undelivered goes whole, so that whoever drains it knows as much as the journal does. The
bytes of its checkpoints go as far as they have not arrived. Nothing in it is secret: payloads were redacted when they
were recorded, and neither the journal nor a pack ever holds a key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from sqlalchemy import Connection, bindparam, text

from journal.checkpoints.blobs import write_all
from journal.clock import utc_now
from journal.errors import BlobMissing
from journal.folder import Journal
from journal.kinds import CHECKPOINT
from journal.mirror import journal_reader, segments
from journal.mirror.layout import ResultsName, blob_name
from journal.mirror.numbers import Numbers
from journal.mirror.stores import Listed
from journal.outbox import run_results
from journal.reading.report import RunReport, make_report

# Bytes have arrived where each destination of their run has them, or something newer in their place, and none waits for
# them: two checkpoints of a run may have the same.
_ARRIVED = text(
    f"""
    SELECT DISTINCT d.run_id, d.sha256 FROM deliveries d
    WHERE d.run_id IN :runs AND d.sha256 IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM deliveries o WHERE o.run_id = d.run_id AND o.sha256 = d.sha256
                      AND o.state IN ('pending', 'claimed', 'dead'))
      AND NOT EXISTS (SELECT 1 FROM targets t WHERE t.run_id = d.run_id AND t.dropped_at IS NULL
                      AND NOT EXISTS (SELECT 1 FROM deliveries o WHERE o.run_id = t.run_id AND o.sha256 = d.sha256
                                      AND o.destination_id = t.destination_id AND o.span IS NOT NULL
                                      AND o.state IN ('delivered', 'superseded')))
      AND NOT EXISTS (SELECT 1 FROM targets t JOIN events e ON e.run_id = t.run_id AND e.id > t.planned_through
                      WHERE t.run_id = d.run_id AND t.dropped_at IS NULL AND e.kind = '{CHECKPOINT}'
                        AND json_extract(e.payload, '$.sha256') = d.sha256)
    """  # noqa: S608 - a name of this package
).bindparams(bindparam("runs", expanding=True))
CHUNK = 1 << 20


@dataclass
class Contents:
    """The objects of a pack, by their names: a source to restore from (`journal.mirror.stores.Source`).

    Attributes:
        runs: Uuids of the runs.
        events: How many events there are.
        made: The small objects.
        files: The checkpoints, which are open: they stay whole although the journal may evict them meanwhile.
    """

    runs: list[str] = field(default_factory=list)
    events: int = 0
    made: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, tuple[FileIO, int]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return how many bytes there are."""
        return sum(map(len, self.made.values())) + sum(size for _, size in self.files.values())

    def get(self, name: str) -> bytes | None:
        """Return a small object; None when it is not there."""
        return self.made.get(name)

    def get_file(self, name: str, target: Path) -> bool:
        """Write a checkpoint into a new file; return False when it is not there."""
        if name not in self.files:
            return False
        file, _ = self.files[name]
        file.seek(0)
        write_durably(target, iter(lambda: file.read(CHUNK), b""))
        return True

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names begin so."""
        sizes = {name: len(content) for name, content in self.made.items()}
        sizes |= {name: size for name, (_, size) in self.files.items()}
        return (Listed(name, size) for name, size in sizes.items() if name.startswith(prefix))


def collect(stack: ExitStack, journal: Journal, runs: Collection[str] | None = None) -> Contents:
    """Read what a pack of a journal contains.

    Args:
        stack: Closes the files of the checkpoints.
        journal: The journal; trainings may write to it meanwhile.
        runs: Uuids of the runs, whole whatever has arrived; None for those of which anything is undelivered.

    Raises:
        JournalError: It cannot be read, or not be flushed.
    """
    contents = Contents()
    with journal.begin(read_only=True) as connection:
        contents.runs = undelivered(make_report(connection, utc_now())) if runs is None else sorted(runs)
        for run_id in contents.runs:
            _add_run(connection, run_id, contents)
        wanted = journal_reader.wanted_blobs(connection, contents.runs)
        for sha256 in sorted(
            {sha256 for _, sha256 in wanted - arrived(connection, contents.runs)}
        ):  # another run may have the same bytes
            _add_file(stack, journal, sha256, contents)
    journal.flush()  # nothing leaves the machine that a power cut could still take from it
    return contents


def arrived(connection: Connection, runs: Collection[str]) -> set[tuple[str, str]]:
    """Return the checkpoints of runs that have arrived wherever they are to go, as pairs of run and sha256."""
    return {(row.run_id, row.sha256) for row in connection.execute(_ARRIVED, {"runs": list(runs)})}


def undelivered(report: Collection[RunReport]) -> list[str]:
    """Return the uuids of the runs of which anything is to be sent, or that go nowhere yet. Pure."""
    return sorted(
        run.id
        for run in report
        if not run.targets or any(one.pending or one.unplanned for one in run.targets if one.dropped_at is None)
    )


def _add_run(connection: Connection, run_id: str, contents: Contents) -> None:
    results = run_results.to_bytes(run_results.read(connection, run_id))
    contents.made[str(results_name(run_id, results))] = results
    for session in journal_reader.sessions(connection, [run_id]):
        header, before = journal_reader.header(connection, session), None
        held = Numbers()
        while entries := list(journal_reader.entries(connection, session.id, held)):
            for group in segments.divided(entries):
                segment = segments.make(header, group, before)
                contents.made[str(segment.name)] = segment.content()
                held.add(segment.name.first, segment.name.last)
                before = segment.after
            contents.events += len(entries)


def _add_file(stack: ExitStack, journal: Journal, sha256: str, contents: Contents) -> None:
    try:
        path = journal.local_blobs.path(sha256)
    except BlobMissing:
        return  # evicted; the run says so
    file = stack.enter_context(FileIO(path, "rb"))
    contents.files[blob_name(sha256)] = (file, path.stat().st_size)


def results_name(run_id: str, content: bytes) -> ResultsName:
    """Return the name of a run's results."""
    return ResultsName(run_id, hashlib.sha256(content).hexdigest()[:32])


def write_durably(target: Path, chunks: Iterator[bytes]) -> None:
    """Write a new file and flush it."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        for chunk in chunks:
            write_all(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
