"""One training session's recorder: events at once, checkpoints by a thread of its own.

The callbacks talk to a `Recorder` and to nothing else. It never raises into the trainer and never touches the network.
It owns one thread, which snapshots checkpoints, writes heartbeats and folds the write-ahead log; the thread is started
in `start` and joined in `finish`.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from journal.checkpoints.blobs import Identity, identity
from journal.checkpoints.salvage import stamped
from journal.encoding import is_plain, plain
from journal.errors import JournalBusy, JournalError, OverLimit, SourceChanged
from journal.kinds import FINAL, MODEL_SAVED
from journal.records import Run
from journal.sessions.identity import UNKNOWN, Session
from journal.storage.database import Durability
from journal.storage.folding import FOLDED_AT_BYTES
from uploader.recording.resumption import NOWHERE, Origin, find_origin
from uploader.recording.run_file import remove_model_file, write_run_file
from uploader.recording.serial_executor import bind_thread, executor, in_caller, run_uninterrupted, uninterrupted
from uploader.recording.session_writer import JournalOptions, SessionWriter, new_run

LOGGER = logging.getLogger("uploader")

HEARTBEAT_SECONDS = 30.0
# The trainer has finished by then; a snapshot that takes longer than this is on a disk that hangs.
FINAL_SECONDS = 600.0
_FINAL_TRIES = 5


@dataclass(frozen=True)
class SnapshotRequest:
    """A checkpoint file to be taken into the journal.

    Attributes:
        path: The trainer's file.
        role: `last`, `best` or `final`.
        epoch: The epoch that it was saved in.
        publish: Whether a platform that shows one model per run is to get this one.
        is_best: Whether it is the best so far.
        identity: The file's inode, size and modification time when it was asked for.
        tries: How often it was attempted.
    """

    path: Path
    role: str
    epoch: int
    publish: bool
    is_best: bool
    identity: Identity
    tries: int = 0

    def payload(self) -> dict[str, Any]:
        """Return the facts for the checkpoint event."""
        return {
            "epoch": self.epoch,
            "filename": self.path.name,
            "publish": self.publish,
            "isBest": self.is_best,
        }


class Recorder:
    """One session of one run.

    Attributes:
        run_id: Uuid of the run.
        resumed: Whether the run was known before this session.
        was_complete: Whether the run was finished before this session.
        session: Numbers this session's events; who it is, to others.
        origin: Where the training comes from.
        session_number: 1 for the run's first session.
        drain_command: What a person types to deliver the journal.
    """

    def __init__(
        self,
        writer: SessionWriter,
        *,
        resumed: bool,
        remember: Callable[[bool], None] = lambda _: None,
        was_complete: bool = False,
        origin: Origin = NOWHERE,
    ) -> None:
        """Start the thread; use `Recorder.start`, which also finds the run.

        Args:
            writer: Where events go.
            resumed: Whether the run was known before.
            remember: Notes in the run's folder whose it is, and whether the run is finished.
            was_complete: Whether it was before.
            origin: Where the training comes from.
        """
        self._writer = writer
        self._remember = remember
        self.run_id = writer.run.id
        self.session = writer.session
        self.resumed = resumed
        self.was_complete = was_complete
        self.origin = origin
        self.session_number = writer.session_number()
        self.drain_command = writer.drain_command
        self._wake = threading.Condition()
        self._requests: dict[str, SnapshotRequest] = {}
        self._busy = False
        self._closing = False
        self._finished = False
        self._ended = False
        self._hurried = False
        self._asked: dict[str, Identity] = {}
        self._executor = executor()
        self._thread = threading.Thread(target=self._work, name="uploader-snapshots", daemon=True)
        self._thread.start()
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
        """Begin a session, of the run that is resumed where it is known, else of a new run.

        Args:
            options: Which journal, and where to.
            project: Slug, or None where the training named no project.
            name: Slug.
            save_dir: The trainer's folder; a small file in it names the run, so that it is found again.
            resume: Whether the training continues an earlier one.
            checkpoint: The file that it is resumed from, where that is known; see `uploader.recording.resumption`.
            started: Id of the model that upstream has registered for it a moment ago.
        """
        save_dir = save_dir.absolute()
        find = partial(find_origin, options, save_dir, resume=resume, checkpoint=checkpoint, started=started)
        run = partial(new_run, project=project, name=name, save_dir=save_dir)
        origin, writer = _begin(options, find, run)
        known = origin.known
        if origin.model is None:
            remove_model_file(save_dir)
        was_complete = known is not None and (known.is_complete or writer.is_complete())
        remember = partial(write_run_file, writer, save_dir, known)
        remember(was_complete)
        return cls(writer, resumed=known is not None, remember=remember, was_complete=was_complete, origin=origin)

    def event(self, kind: str, payload: Mapping[str, Any], key: str = "", durability: Durability | None = None) -> None:
        """Write one event; it is durable when this returns.

        Args:
            kind: What happened.
            payload: Anything; what JSON cannot carry is replaced.
            key: The natural key within the kind (epoch, chunk id).
            durability: What this event is to survive; None for what the journal was opened with.
        """
        self._write_whole(kind, settled(payload), key, durability)

    @uninterrupted
    def _write_whole(self, kind: str, payload: Mapping[str, Any], key: str, durability: Durability | None) -> None:
        self._writer.event(kind, payload, key, durability)

    @uninterrupted
    def checkpoint(self, path: Path, *, role: str, epoch: int, publish: bool, is_best: bool) -> None:
        """Have a checkpoint file snapshotted in the background; return at once.

        A request that is still waiting is replaced by a newer one of the same role, and one whose file was rewritten
        before it was copied is dropped: the save that rewrote it asks for itself. A file that has not changed since it
        was last snapshotted is not taken again. A `final` one is journaled as a save first, so that it can be taken in
        later if this process dies now, and is tried until it succeeds.
        """
        stamp = identity(path)
        if stamp is None or self._asked.get(role) == stamp:
            return
        self._asked[role] = stamp
        request = SnapshotRequest(path.absolute(), role, epoch, publish, is_best, stamp)
        if role == FINAL:
            file = {"role": role, "path": str(request.path), "publish": publish, "isBest": is_best, **stamped(stamp)}
            self.event(MODEL_SAVED, {"epoch": epoch, "final": True, "files": [file]}, str(epoch))
        with self._wake:
            self._requests[role] = request
            self._wake.notify_all()

    @property
    def _sink(self) -> SessionWriter:
        """The writer under its former name, for scripts that reach for it."""
        return self._writer

    @uninterrupted
    def reopen(self) -> None:
        """Note that a run that was finished goes on."""
        self._remember(False)

    def wait_for_snapshots(self, timeout: float = FINAL_SECONDS) -> bool:
        """Wait until no snapshot is asked for or being taken.

        Args:
            timeout: The longest wait, in seconds.

        Returns:
            False when that took too long, or is not to be waited for any more.
        """
        is_given_up = threading.Event()

        def give_up() -> None:
            is_given_up.set()
            with self._wake:
                self._wake.notify_all()

        def is_over() -> bool:
            return is_given_up.is_set() or not (self._requests or self._busy)

        return run_uninterrupted(partial(self._wait_until, is_over, timeout), give_up)

    def hurry(self) -> None:
        """Have nobody wait for snapshots any more: a person wants the process to end."""
        with self._wake:
            self._hurried = True
            self._wake.notify_all()

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

    def finish(self, outcome: str) -> None:
        """Wait for the snapshots, join the thread, end the session; doing so again, or in a forked child, does nothing.

        Args:
            outcome: `complete`, `failed`, `exited`, … as the journal shows it.
        """
        if os.getpid() == self._pid:  # a child that exits runs what was registered before the fork
            run_uninterrupted(partial(self._finish, outcome), self.hurry)

    def _finish(self, outcome: str) -> None:
        with self._wake:
            if self._finished:
                return
            self._finished = self._closing = True
            self._wake.notify_all()
        atexit.unregister(self.finish)
        if self._wait_until(lambda: self._ended, FINAL_SECONDS):
            self._thread.join()
        if outcome == "complete":
            self._remember(True)
        self._writer.close(outcome)

    def _wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for what the thread does; not for long, not when hurried, and not for a thread that is not there."""
        with self._wake:
            if os.getpid() == self._pid:
                self._wake.wait_for(lambda: condition() or self._ended or self._hurried, timeout)
            return condition()

    def _work(self) -> None:
        """Serve requests until told to close, and note the end."""
        bind_thread(self._executor)
        try:
            self._serve_all()
        finally:
            with self._wake:
                self._ended = True
                self._wake.notify_all()

    def _serve_all(self) -> None:
        """Serve requests until told to close, with a heartbeat in between."""
        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        while (request := self._next_request(beat_at)) or not self._closing:
            try:
                if request:
                    self._serve(request)
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + HEARTBEAT_SECONDS
                    self._writer.maintain(FOLDED_AT_BYTES)
            except Exception:  # the next checkpoint, above all the final one, has to find the thread alive
                LOGGER.exception("A checkpoint or a heartbeat failed in an unexpected way; training goes on")

    def _next_request(self, until: float) -> SnapshotRequest | None:
        """Wait for a request, but not past `until` on the monotonic clock; the oldest role first."""
        with self._wake:
            self._busy = False
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._requests or self._closing, max(0.0, until - time.monotonic()))
            if not self._requests:
                return None
            self._busy = True
            return self._requests.pop(next(iter(self._requests)))

    def _serve(self, request: SnapshotRequest) -> None:
        try:
            self._writer.add_checkpoint(request.path, request.identity, request.role, request.payload())
        except (JournalError, OSError) as error:
            self._not_taken(request, error)

    def _not_taken(self, request: SnapshotRequest, error: Exception) -> None:
        """Ask again for a final checkpoint, because nobody else will; any other one may be asked for again."""
        stamp = identity(request.path)
        passing = isinstance(error, (SourceChanged, JournalBusy))
        with self._wake:
            if request.role == FINAL and passing and stamp and request.tries < _FINAL_TRIES:
                self._requests.setdefault(request.role, replace(request, identity=stamp, tries=request.tries + 1))
                return
            if self._asked.get(request.role) == request.identity:
                del self._asked[request.role]
        # Who rewrote a checkpoint asks for the new one: that is no loss. And a journal that is full says so itself.
        replaced = isinstance(error, SourceChanged) and request.role != FINAL and stamp is not None
        is_said = replaced or isinstance(error, OverLimit)
        LOGGER.log(logging.DEBUG if is_said else logging.WARNING, "%s was not snapshotted: %s", request.path, error)


def settled(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a payload that no code of the person's is in: that is called in their own thread, if there is any."""
    return payload if is_plain(payload) else in_caller(partial(plain, payload))


def _begin(
    options: JournalOptions, find: Callable[[], Origin], run: Callable[[str], Run]
) -> tuple[Origin, SessionWriter]:
    """Open a session of the run that goes on, or of a new one.

    Another copy of the run may begin to go on between the look and the session: then there is another look.
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
        session.place(known.newest)
    return origin, SessionWriter(
        options, run(session.run_id), session=session, chunks_before=known.chunks if known else 0
    )
