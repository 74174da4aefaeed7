"""One training session's recorder: events are written at once, checkpoints by a thread of its own.

The callbacks talk to a `Recorder` and to nothing else. It never raises into the trainer and never touches the network.
"""

from __future__ import annotations

import atexit
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from journal.encoding import is_plain, plain
from journal.kinds import FINAL, MILESTONES, MODEL_SAVED, REGISTRATION
from journal.quantities import epochs_in_words
from journal.reading.arrived import Arrived
from journal.reading.drain_at_work import collector_at_work, drain_at_work
from journal.records import Run
from journal.sessions.identity import UNKNOWN, Session
from journal.sessions.lost_epochs import TrainerRecord
from journal.shared_library import is_installed
from journal.storage.database import Durability
from journal.writing.continuation import Continuation
from uploader.exec_variables import note_recorded
from uploader.recording.background_collector import background_work
from uploader.recording.background_drain import BackgroundDrain
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.copy_times import CopyTimes
from uploader.recording.earlier_journal import go_on
from uploader.recording.farewell import farewell, farewell_into
from uploader.recording.journal_options import JournalOptions
from uploader.recording.mirror_thread import MirrorThread, bring_back_run
from uploader.recording.resumption import NOWHERE, Origin, find_origin
from uploader.recording.serial_executor import in_caller, is_in_our_thread, run_uninterrupted, uninterrupted
from uploader.recording.session_writer import SessionWriter, new_run
from uploader.recording.snapshot_thread import SnapshotThread
from uploader.run_folder.model_file import remove_model_file
from uploader.run_folder.run_file import KnownRun, StepsNoted, write_run_file

LOGGER = logging.getLogger("uploader")

# The trainer has finished by then; a snapshot that takes longer than this is on a disk that hangs.
_RESULT = {"publish": True, "isBest": True}
FINAL_SECONDS = 600.0


class Recorder:
    """One session of one run.

    Attributes:
        run_id: Uuid of the run.
        resumed: Whether the run was known before this session.
        was_complete: Whether the run was finished before this session.
        session: Identifies this session and numbers its events.
        origin: Where the training comes from.
        session_number: 1 for the run's first session.
        drain_command: What a person types to deliver the journal.
        drain_log: The file that the background drain, or collector, prints to; None without one.
        shared: The shared journal that its events are brought into; None for none.
    """

    def __init__(
        self,
        writer: SessionWriter,
        *,
        resumed: bool,
        remember: Callable[[bool, StepsNoted], None] = lambda *_: None,
        was_complete: bool = False,
        origin: Origin = NOWHERE,
        mirror: str | None = None,
        drain: BackgroundDrain | None = None,
    ) -> None:
        """Start the threads; use `Recorder.start`, which also finds the run.

        Args:
            writer: Where events go.
            resumed: Whether the run was known before.
            remember: Writes the run file, with whether the run is finished, and the steps of a loop.
            was_complete: Whether the run was finished before.
            origin: Where the training comes from.
            mirror: Address of the mirror; None for none.
            drain: Kept at work beside the training; None if nobody asked for one.
        """
        self._writer = writer
        self._remember = remember
        self._steps = origin.known.steps._replace(is_over=False) if origin.known else StepsNoted()
        self.run_id = writer.run.id
        self.session = writer.session
        self.resumed = resumed
        self.was_complete = was_complete
        self.origin = origin
        self.session_number = writer.session_number()
        self.drain_command = writer.drain_command
        self._mirror = MirrorThread(writer.folder, mirror, self.run_id) if mirror else None
        self._arrived: Sequence[Arrived] | None = None
        self.drain_log = drain.log if drain else None
        self.shared = writer.shared
        self._snapshots = SnapshotThread(
            writer, CopyTimes(is_mirrored=mirror is not None), self._mirror.wake if self._mirror else None, drain
        )
        self._pid = os.getpid()
        atexit.register(self.finish, "exited")

    @classmethod
    @uninterrupted
    def start(
        cls,
        options: JournalOptions,
        *,
        project: str | None,
        name: str,
        save_dir: Path,
        resume: bool,
        checkpoint: Path | None = None,
        started: str | None = None,
    ) -> Recorder:
        """Begin a session of the run that is resumed, if that is known, else of a new run.

        Args:
            options: Which journal, and which destinations.
            project: Slug of the project; None when the training names none.
            name: Slug of the run's name.
            save_dir: The trainer's folder; the run file in it identifies the run when it is resumed.
            resume: Whether the training continues an earlier one.
            checkpoint: The file that it is resumed from, if known; see `uploader.recording.resumption`.
            started: Id of the model that upstream has just registered for it.
        """
        save_dir = save_dir.absolute()
        if resume and options.mirror:
            bring_back_run(options, options.mirror, save_dir, checkpoint)
        find = partial(find_origin, options, save_dir, resume=resume, checkpoint=checkpoint, started=started)
        run = partial(new_run, project=project, name=name, save_dir=save_dir)
        origin, writer = _begin(options, find, run)
        known = origin.known
        if origin.model is None:
            remove_model_file(save_dir)
        was_complete = known is not None and (known.is_complete or writer.is_complete())
        remember = partial(_write_run_file, writer, save_dir, known)
        remember(was_complete, known.steps._replace(is_over=False) if known else StepsNoted())
        recorder = cls(
            writer,
            resumed=known is not None,
            remember=remember,
            was_complete=was_complete,
            origin=origin,
            mirror=options.mirror,
            drain=background_work(options, writer.folder),
        )
        if not was_complete:  # else it is certain later that it continues at all
            recorder.salvage_epochs(origin.trained, before=True)
        note_recorded(recorder.run_id)
        return recorder

    def event(self, kind: str, payload: Mapping[str, Any], key: str = "", durability: Durability | None = None) -> None:
        """Write one event; a killed process does not lose it when this has returned.

        A power cut does not lose it either once it is flushed, for which this waits as `JournalOptions.max_wait` says.

        If a signal handler raises meanwhile, the event may or may not have been written, but never half. Only the work
        of callbacks is handed to another thread, where it cannot be interrupted: that costs as much as two events do.

        A `training_started` whose `environment` does not name its run gets `uploaderRun` there.

        Args:
            kind: What happened.
            payload: Anything; values that JSON cannot represent are replaced.
            key: The natural key within the kind (epoch, chunk id).
            durability: None for that of the journal.
        """
        recorded = plain_payload(payload)
        if kind == REGISTRATION:
            recorded = _naming_run(recorded, self.run_id)
        self._writer.event(kind, recorded, key, durability)
        if self._mirror and kind in MILESTONES:
            self._mirror.wake()

    @uninterrupted
    def checkpoint(self, path: Path, *, role: str, epoch: int, publish: bool, is_best: bool) -> None:
        """Have a checkpoint file snapshotted in the background, as `snapshot` does.

        Args:
            path: The file; nothing is done where there is none.
            role: `last`, `best` or `final`.
            epoch: The epoch whose weights it holds, from 0.
            publish: Whether a platform that shows one model per run is to get this one.
            is_best: Whether it holds the best weights so far.
        """
        if file := CheckpointFile.of(path, role, epoch=epoch, publish=publish, is_best=is_best):
            self.snapshot(file)

    @uninterrupted
    def snapshot(self, file: CheckpointFile, *, is_last: bool = False) -> None:
        """Have a checkpoint file snapshotted in the background, when it is due; return at once.

        A request that still waits is replaced by a newer one of the same role. A file that was rewritten before it was
        copied is skipped, as the save that rewrote it makes a request of its own, and so is one that has not changed
        since its last snapshot. A `final` file is journaled as a save first, so that it can be salvaged if this process
        dies now, and is tried again until it succeeds.

        Args:
            file: The file.
            is_last: Whether the trainer goes on to change the only file that has these weights.
        """
        if not self._snapshots.is_new(file):
            return
        if file.role == FINAL:
            payload = {"epoch": file.epoch, "final": True, "files": [file.save_facts()]}
            self.event(MODEL_SAVED, payload, str(file.epoch))
        self._snapshots.request(file, is_last=is_last)

    @uninterrupted
    def keep_copy_as_final(self, file: CheckpointFile) -> bool:
        """Make the journal's copy of a file the run's result, whatever the file is now; return whether it has one."""
        copy = self._snapshots.copy_of(file)
        return copy is not None and self._writer.add_copy(copy, FINAL, {**file.checkpoint_facts(), "publish": True})

    @uninterrupted
    def keep_as_final(self, kept: Mapping[str, Any]) -> bool:
        """Make weights of an earlier session the run's result; return whether the journal has them.

        Args:
            kept: What their checkpoint tells.
        """
        facts = {name: kept.get(name) for name in ("epoch", "filename")}
        return self._writer.add_stored(str(kept["sha256"]), int(kept["size"]), FINAL, {**facts, **_RESULT})

    @property
    def _sink(self) -> SessionWriter:
        """The writer under its former name, for scripts that reach for it."""
        return self._writer

    @uninterrupted
    def reopen(self) -> None:
        """Note in the run file that a finished run is continued."""
        self._remember(False, self._steps)
        self.salvage_epochs(self.origin.trained, before=True)

    @uninterrupted
    def lacks_epochs(self, before: int) -> bool:
        """Return whether the journal lacks epochs of the run before one, as far as it can say.

        What upstream alone has streamed is not for the journal.
        """
        is_streamed = self.origin.known is None and self.origin.model is not None
        return not is_streamed and self._writer.count_epochs(before) < before

    @uninterrupted
    def continuation(self) -> Continuation:
        """Return what is known of the run as it goes on, also from the journal of before; nothing of a new one."""
        known = self.origin.known
        if known is None:
            return Continuation()
        return go_on(self._writer.continuation(), known, self._writer.folder, is_here=self.session_number > 1)

    @uninterrupted
    def note_steps(self, following: int, *, is_over: bool = False) -> None:
        """Note in the run file, for a session that records into another journal, the number of the next step."""
        self._steps = StepsNoted(following, is_over)
        self._remember(False, self._steps)

    @uninterrupted
    def step(self, number: int) -> Mapping[str, Any] | None:
        """Return what was logged last of a step of the run, also in an earlier session; None where nothing was."""
        return self._writer.step(number)

    @uninterrupted
    def salvage_epochs(self, trained: TrainerRecord, *, before: bool = False) -> None:
        """Record the epochs that the journal lacks, as far as the trainer's own record tells them.

        Args:
            trained: That record.
            before: Whether it is of the time before this session.
        """
        if not trained.epochs:
            return
        generation = self.session.generation or 1
        if taken := self._writer.salvage_epochs(trained, max(1, generation - before)):
            source = trained.epochs[0].source
            LOGGER.warning("The journal lacked %s of this training: taken in from %s.", epochs_in_words(taken), source)

    def wait_for_snapshots(self, timeout: float = FINAL_SECONDS) -> bool:
        """Wait until every requested snapshot is taken.

        Args:
            timeout: The longest wait, in seconds.

        Returns:
            False when that took too long, or the wait was cut short.
        """
        return self._snapshots.wait(timeout)

    def hurry(self) -> None:
        """End every wait for snapshots, the disk and the mirror: a person wants the process to end."""
        self._snapshots.hurry()
        self._writer.hurry()
        if self._mirror:
            self._mirror.hurry()

    @uninterrupted
    def told(self, *, wait: bool = True) -> dict[str, str] | None:
        """Return what platforms told this session: `cancelled` and why, `model` and the address of its page.

        Args:
            wait: Whether to wait for another thread that writes; if not, and one does, None is returned.
        """
        signals = self._writer.signals(wait=wait)
        return None if signals is None else {signal.kind: signal.detail for signal in reversed(signals)}

    def cancelled(self) -> str | None:
        """Return why a platform wants the training to stop, or None when none does."""
        return (self.told() or {}).get("cancelled")

    @property
    def safety(self) -> str | None:
        """What of the run is safe in its mirror, in words; None where there is no mirror."""
        return self._mirror.in_words if self._mirror else None

    def farewell(self) -> str:
        """Return what had arrived of the run when it finished, what had not, and who sends the rest."""
        if into := self.shared:
            collector = collector_at_work(self._writer.folder)
            return farewell_into(into, self._arrived, self.drain_command, collector, has_library=is_installed())
        return farewell(self._arrived, self.drain_command, drain_at_work(self._writer.folder))

    def finish(self, outcome: str) -> None:
        """Wait for the snapshots, join the threads, end the session; doing so again, or in a fork, does nothing.

        Args:
            outcome: `complete`, `failed`, `exited`, … as the journal shows it.
        """
        if os.getpid() == self._pid:  # a child that exits runs what was registered before the fork
            run_uninterrupted(partial(self._finish, outcome), self.hurry)

    def _finish(self, outcome: str) -> None:
        if not self._snapshots.close(FINAL_SECONDS):
            return
        atexit.unregister(self.finish)
        if outcome == "complete":
            self._remember(True, self._steps)
        self._arrived = self._writer.arrived()
        self._writer.close(outcome)
        if self._mirror:
            self._mirror.close()


def plain_payload(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a payload as plain values; code of a person's classes is called in their own thread."""
    return payload if not is_in_our_thread() or is_plain(payload) else in_caller(partial(plain, payload))


def _naming_run(started: Mapping[str, Any], run_id: str) -> Mapping[str, Any]:
    """Return a start that names its run, by which a platform's model is found where its answer was lost."""
    environment = started.get("environment", {})
    if not isinstance(environment, Mapping) or "uploaderRun" in environment:
        return started
    return {**started, "environment": {**environment, "uploaderRun": run_id}}


def _write_run_file(
    writer: SessionWriter, save_dir: Path, known: KnownRun | None, is_complete: bool, steps: StepsNoted
) -> None:
    write_run_file(
        save_dir,
        writer.run,
        writer.session,
        journal=writer.folder,
        begun_at=known.begun_at if known else writer.run.created_at,
        chunks=writer.chunks.reserved,
        is_complete=is_complete,
        steps=steps,
    )


def _begin(
    options: JournalOptions, find: Callable[[], Origin], run: Callable[[str], Run]
) -> tuple[Origin, SessionWriter]:
    """Open a session of the run that is continued, or of a new one.

    Another copy of the run may be continued after the run was found and before the session begins; then it is looked
    for again.
    """
    origin, writer = _open(options, find(), run)
    if (
        origin.known
        and origin.known.newest != UNKNOWN
        and writer.session.parent not in {None, origin.known.newest.uuid}
    ):
        writer.close("exited")
        return _open(options, find(), run)
    return origin, writer


def _open(options: JournalOptions, origin: Origin, run: Callable[[str], Run]) -> tuple[Origin, SessionWriter]:
    known = origin.known
    session = Session(known.run if known else str(uuid.uuid4()), ancestors=known.ancestors if known else ())
    if known and known.newest != UNKNOWN:
        session.continue_after(known.newest)
    return origin, SessionWriter(
        options, run(session.run_id), session=session, chunks_before=known.chunks if known else 0
    )
