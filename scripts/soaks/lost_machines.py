"""Suite `lost-machine`: the machine is lost at a random moment of a mirrored training, which another one continues.

SIGKILL ends the training; then everything that it had on its disk is deleted: its journal, fallback files and blobs.
What is left is the drive, with the mirror and the trainer's folder. With a drive that sends late, its newest objects
are lost as well, in no order.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import journal
from journal.checkpoints.salvage import RUN_FILE
from journal.mirror import compacting, mirroring
from journal.mirror.layout import SegmentName
from journal.mirror.restoring import restore
from journal.mirror.segments import columns, parse
from journal.mirror.stores import FolderStore
from soaks.figures import Figures
from soaks.ledger import Acknowledged, digest
from soaks.places import keep_when_found, scratch
from soaks.processes import Child, spin
from soaks.workload import Report
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

STEP_SECONDS = 0.02
"""Of the mirroring here; a second otherwise, which would be many events here, where an epoch takes milliseconds."""
_EPOCHS = 10_000


@dataclass
class LostTally(Figures):
    """The figures of the suite; all from `lost` on must be zero.

    Attributes:
        rounds: Number of machines that were lost.
        events: Events whose write returned.
        mirrored: Events that the mirror had when their machine was lost.
        late: Events that were lost with their machine, because they were not mirrored yet.
        slowest: The age in milliseconds of the oldest of these.
        lost: Events that the mirror had acknowledged, or that the end said were safe, and that are gone.
        torn: Events that came back incomplete or altered.
        broken: Trainings that ended with an internal error, and restorings that named damage.
        runs: Runs too many: a resumed training was not recognised.
        notes: Descriptions of the findings.
    """

    rounds: int = 0
    events: int = 0
    mirrored: int = 0
    late: int = 0
    slowest: int = 0
    lost: int = 0
    torn: int = 0
    broken: int = 0
    runs: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: LostTally) -> None:
        """Add figures; of the slowest ones the slower counts."""
        slowest = max(self.slowest, other.slowest)
        super().add(other)
        self.slowest = slowest

    def note(self, figure: str, what: str) -> None:
        """Count a fault, and describe it."""
        setattr(self, figure, getattr(self, figure) + 1)
        self.notes.append(f"{figure}: {what}")

    @property
    def damaged(self) -> int:
        """Faults other than losses."""
        return self.torn + self.broken + self.runs


def run(rounds: int, seed: int, keep: Path, *, sends_late: bool = False) -> Iterator[LostTally]:
    """Yield the figures of each training, which loses about five machines before it ends.

    Args:
        rounds: Number of machines to lose.
        seed: Decides what is trained and when a machine is lost, as far as the scheduler allows.
        keep: Folder that drives with a finding are copied to.
        sends_late: Whether the drive answers before it has sent.
    """
    done = 0
    while done < rounds:
        with scratch() as folder:
            one = _Training(folder, f"{seed}-{done}", sends_late=sends_late)
            one.live(min(Random(f"{seed}-{done}").randint(2, 8), rounds - done))
            keep_when_found(one.tally, folder, keep / f"lost-{seed}-{done}")
        done += one.tally.rounds
        yield one.tally


class _Training:
    """One training, on a drive that outlives its machines."""

    def __init__(self, folder: Path, seed: str, *, sends_late: bool) -> None:
        self.tally = LostTally()
        self._folder = folder
        self._seed = seed
        self._random = Random(seed)
        self._sends_late = sends_late
        self._drive = folder / "drive"
        self._save_dir = self._drive / "runs" / "train"
        self._save_dir.mkdir(parents=True)
        self._mirrored: dict[str, str] = {}

    def live(self, machines: int) -> None:
        """Lose machines, the last one when the training has just ended."""
        for number in range(machines):
            self._lose(number, is_last=number == machines - 1)
        self._judge()

    def _lose(self, number: int, *, is_last: bool) -> None:
        machine = self._folder / f"machine-{number}"
        machine.mkdir()
        epochs = self._random.randint(1, 30) if is_last else _EPOCHS
        work = partial(_train, machine, self._drive, f"{self._seed}-{number}", epochs, compacts=not self._sends_late)
        child = Child(work)
        if is_last:
            child.wait_for_end()
        else:
            child.wait_for_reports(self._random.choice((0, 1, 5, 20, 60, 150)))
            spin(self._random.uniform(0, 0.03))
            child.kill()
        self._count(child, is_last=is_last)
        shutil.rmtree(machine)

    def _count(self, child: Child, *, is_last: bool) -> None:
        """Compare what the training reported with what is on the drive, without what the drive had not sent."""
        reported = child.reap()
        lost_at = time.monotonic_ns()
        if child.failure:
            self.tally.note("broken", child.failure)
        self._lose_what_was_not_sent()
        there = self._read()
        written = {one.sha256: one.event_id for one in reported if not one.is_text}
        acknowledged = {one.sha256 for one in reported if one.is_text}
        self.tally.rounds += 1
        self.tally.events += len(written)
        late = [at for seal, at in written.items() if seal not in there.values()]
        self.tally.mirrored += len(written) - len(late)
        self.tally.late += len(late)
        if late and not self._sends_late:
            self.tally.slowest = max(self.tally.slowest, (lost_at - min(late)) // 10**6)
        if not self._sends_late:  # else it was only handed over
            for one in acknowledged:
                session, first, last = one.split("/")
                if any(f"{session} {number}" not in there for number in range(int(first), int(last) + 1)):
                    self.tally.note("lost", f"events {first} to {last} of session {session}, which were acknowledged")
        if late and is_last and not self._sends_late:
            self.tally.note("lost", f"{len(late)} events that were safe when the training ended")
        self._mirrored |= there

    def _lose_what_was_not_sent(self) -> None:
        """Delete some of the newest objects, as far as the drive sends late."""
        if not self._sends_late:
            return
        newest = sorted((self._drive / "mirror").rglob("*.gz"), key=lambda path: path.stat().st_mtime_ns)[-8:]
        for path in newest:
            if self._random.random() < 0.3:
                path.unlink()

    def _segments(self) -> list[SegmentName]:
        store = FolderStore(self._drive / "mirror")
        return [name for found in store.list("runs/") if (name := SegmentName.parse(found.name))]

    def _read(self) -> dict[str, str]:
        """Return the seals of the events on the drive, by their identities."""
        found = {}
        for name in self._segments():
            segment = parse(name, (self._drive / "mirror" / str(name)).read_bytes())
            for event in filter(None, map(columns, segment.lines)):
                found[f"{name.session} {event['seq']}"] = digest(event["payload"])
        return found

    def _judge(self) -> None:
        """Restore the mirror on a new machine, twice, and compare."""
        last = self._folder / "last" / "journal"
        with journal.open(last) as opened:
            for _ in range(2):
                restored = restore(opened, FolderStore(self._drive / "mirror"))
                for words in restored.damaged:
                    self.tally.note("broken", words)
            with opened.begin(read_only=True) as connection:
                rows = connection.exec_driver_sql(
                    "SELECT s.uuid || ' ' || e.seq, e.payload FROM events e JOIN sessions s ON s.id = e.session_id"
                ).all()
        there = {identity: digest(payload) for identity, payload in rows}
        for identity, seal in self._read().items():
            if identity not in there:
                self.tally.note("lost", f"event {identity}, which the mirror has")
            elif there[identity] != seal:
                self.tally.note("torn", f"event {identity}")
        if len(restored.runs) > 1:
            self.tally.note("runs", f"{len(restored.runs)} runs of one training")
        shutil.rmtree(last.parent)


def _train(machine: Path, drive: Path, seed: str, epochs: int, report: Report, *, compacts: bool) -> None:
    """Train epochs on a machine, from where the trainer's folder says, and report what is written and mirrored."""
    logging.disable()
    os.environ["UPLOADER_FALLBACK"] = str(machine / "fallback")
    mirroring.STEP_SECONDS = STEP_SECONDS
    if compacts:
        compacting.FANOUT, compacting.GRACE_SECONDS = 3, 0.05
    _report_segments(report)
    random, save_dir = Random(seed), drive / "runs" / "train"
    progress = save_dir / "epoch"
    first = int(progress.read_text()) if progress.exists() else 0
    options = JournalOptions(str(machine / "journal"), mirror=str(drive / "mirror"))
    recorder = Recorder.start(
        options, project="soak", name="soak", save_dir=save_dir, resume=(save_dir / RUN_FILE).exists()
    )
    named = {"uploaderRun": recorder.run_id}  # else the recorder would add it, and the seal would be another one
    _event(recorder, report, "training_started", {"epochs": epochs, "environment": named}, "")
    for number in range(first, first + epochs):
        _event(recorder, report, "epoch_end", {"epoch": number, "metrics": {"loss": random.random()}}, str(number))
        if random.random() < 0.2:
            _save(recorder, save_dir, number, random)
        temporary = progress.with_suffix(".tmp")
        temporary.write_text(str(number + 1))
        temporary.replace(progress)
        time.sleep(random.choice((0, 0.001, 0.005)))
    _event(recorder, report, "training_complete", {"results": {}}, "")
    recorder.finish("complete")
    if "is in its mirror" not in (recorder.safety or ""):
        raise RuntimeError(recorder.safety)


def _event(recorder: Recorder, report: Report, kind: str, payload: dict[str, object], key: str) -> None:
    """Write an event; its seal is unique, since its moment is."""
    sealed = {**payload, "at": time.monotonic_ns()}
    recorder.event(kind, sealed, key)
    report(Acknowledged(time.monotonic_ns(), digest(journal.encode(sealed)), is_blob=False))


def _save(recorder: Recorder, save_dir: Path, epoch: int, random: Random) -> None:
    path = save_dir / "last.pt"
    path.write_bytes(random.randbytes(random.choice((100, 50_000))))
    recorder.checkpoint(path, role="last", epoch=epoch, publish=True, is_best=False)


def _report_segments(report: Report) -> None:
    """Report each segment that the mirror has acknowledged, by the identities of its events."""
    put = FolderStore.put

    def put_and_report(self: FolderStore, name: str, content: bytes) -> None:
        put(self, name, content)
        if segment := SegmentName.parse(name):
            which = f"{segment.session}/{segment.first}/{segment.last}"
            report(Acknowledged(time.monotonic_ns(), which, is_blob=False, is_text=True))

    FolderStore.put = put_and_report  # type: ignore[method-assign]
