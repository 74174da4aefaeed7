"""Where a training's events go: the journal when it can be written, a fallback file when it cannot.

A failing journal raises nothing here, as it must not harm the training. When `event` returns, the event is in the
journal or in the fallback file; a warning is logged once, and the journal is tried again after a while.

It is then flushed to the disk, for which `event` waits a few milliseconds at most. What a flush could not write goes to
the fallback file, too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from journal.clock import now_text
from journal.encoding import storable
from journal.errors import JournalError, JournalUnavailable, OverLimit, from_os
from journal.kinds import COMPLETE, CONSOLE, GIVEN_UP, MILESTONES
from journal.locations import recording_folder
from journal.losses import Loss, loss_payload
from journal.next_steps import collect_command, next_command
from journal.quantities import count, readable
from journal.records import Run, Signal
from journal.sessions.identity import Draft, Session
from journal.sessions.lost_epochs import TrainerRecord
from journal.storage.database import Durability
from journal.writing.continuation import Continuation
from journal.writing.payloads import drafts
from uploader.recording.console_ids import ChunkIds
from uploader.recording.journal_connection import JournalConnection
from uploader.recording.journal_options import JournalOptions
from uploader.recording.place_warnings import warn_of_places
from uploader.recording.recovery import removal_payload
from uploader.recording.serial_executor import callback_begun_at
from uploader.recording.session_fallback import SessionFallback
from uploader.recording.size_limit import SizeLimit
from uploader.recording.unflushed import UnflushedEvents

if TYPE_CHECKING:
    from journal.checkpoints.blobs import Snapshot
    from journal.reading.arrived import Arrived
    from journal.writing.writer import Writer
    from uploader.recording.checkpoint_file import CheckpointFile
    from uploader.recording.open_session import OpenSession

LOGGER = logging.getLogger("uploader")
T = TypeVar("T")

FLUSH_SECONDS = 600.0
"""How long the end of a training waits for the disk."""
_SLICE_SECONDS = 0.5


class SessionWriter:
    """Writes one session of one run. Its methods may be called from any thread.

    Attributes:
        run: The run; it has an id even when no journal could be opened.
        session: Numbers the events, wherever they go.
        chunks: Keeps the ids of console chunks above those of earlier sessions.
        folder: The journal's folder.
        shared: The shared journal that this one is brought into; None for none.
    """

    def __init__(
        self,
        options: JournalOptions,
        run: Run,
        clock: Callable[[], float] = time.monotonic,
        session: Session | None = None,
        chunks_before: int = 0,
    ) -> None:
        """Try to open the journal and to write the run and a session into it.

        Args:
            options: Which journal.
            run: The run.
            clock: Seconds; never goes back.
            session: Numbers the events; by default a new session.
            chunks_before: Id of the run's last console chunk, as far as anything but the journal knows it.
        """
        self.run = run
        self.session = session or Session(run.id)
        # Determined once: a training may change its working folder, and a relative path means the one it started in.
        self.folder = recording_folder(options.journal)
        self._fallback = SessionFallback(self.folder, run, self.session, options.routes, options.max_wait)
        self._connection = JournalConnection(
            self.folder, run, self.session, options, fallback=self._fallback, clock=clock
        )
        self.shared = options.shared
        self._limit = SizeLimit(self.folder, options.max_size)
        self._unflushed = UnflushedEvents()
        self._max_wait = options.max_wait
        self._is_hurried = False
        self._has_warned = False
        self._lock = threading.RLock()
        self._is_closed = False
        _session_writers.add(self)
        warn_of_places(self.folder, options)
        self._connection.get()
        self.chunks = ChunkIds(max(chunks_before, self._query(lambda writer: writer.last_chunk(run.id), 0)))

    def event(self, kind: str, payload: Mapping[str, Any], key: str = "", durability: Durability | None = None) -> None:
        """Write one event, durably, to the journal or else to the fallback file; see `Writer.append`.

        The wait for its flush is bounded from the begin of the callback that it comes from, or else from that of this
        call. A milestone's is not: what came before it, such as opening the journal, takes longer than the bound.
        """
        begun_at = callback_begun_at() or time.monotonic()
        with self._lock:
            self._write(kind, payload, key, durability)
            if self._is_closed:  # the event came late
                self._flush(FLUSH_SECONDS)
                self._release()
        if durability != "process":
            waited = 0.0 if kind in MILESTONES else time.monotonic() - begun_at
            self._flush(self._max_wait - waited)

    def add_checkpoint(self, file: CheckpointFile) -> Snapshot:
        """Snapshot a file, as it was when it was looked at, into the journal and refer to it; return what was copied.

        Raises:
            JournalError: It could not be done; `SourceChanged` when the trainer rewrote the file meanwhile, `OverLimit`
                when the journal has no room for it.
        """
        with self._lock:
            opened = self._connection.verified()
        if opened is None:
            raise JournalUnavailable(f"{self.folder} cannot be written")
        # Outside the lock: both may take long, and events must not wait.
        if not self._limit.enforce(opened, file.size, file.role):
            self._refuse(file)
        try:
            return opened.add_checkpoint(file)
        finally:
            if self._is_closed:  # nobody waited for it
                opened.close()

    def add_copy(self, copy: Snapshot, role: str, facts: Mapping[str, Any]) -> bool:
        """Refer once more to bytes that the journal has, as a checkpoint of another role; return whether it could."""
        with self._lock:
            opened = self._connection.verified()
        try:
            if opened is not None:
                opened.add_copy(copy, role, facts)
            return opened is not None
        except JournalError as error:
            LOGGER.debug("a copy in the journal cannot be referred to again: %s", error)
            return False

    def add_stored(self, sha256: str, size: int, role: str, facts: Mapping[str, Any]) -> bool:
        """Refer once more to bytes of an earlier session, as `add_copy` does to those of this one."""
        from journal.checkpoints.blobs import Snapshot  # where there are such bytes, it is loaded

        gone = self.folder / "blobs" / f".tmp-{sha256}"  # a copy has no other name any more
        return self.add_copy(Snapshot(gone, sha256, size), role, facts)

    def salvage_epochs(self, trained: TrainerRecord, newest: int) -> list[int]:
        """Record the epochs that the journal lacks; return their numbers, none when it cannot be used now.

        Args:
            trained: The trainer's own record.
            newest: Generation of the session that wrote the end of it.
        """
        nothing: list[int] = []
        return self._query(lambda writer: writer.salvage_epochs(self.run.id, trained, newest), nothing)

    def count_epochs(self, before: int) -> int:
        """Return how many epochs of the run before one the journal has; as many as there are when it cannot say."""
        return self._query(lambda writer: writer.count_epochs(self.run.id, before), before)

    def continuation(self) -> Continuation:
        """Return what the journal knows of the run as it goes on; nothing when it cannot say."""
        return self._query(lambda writer: writer.continuation(self.run.id), Continuation())

    def step(self, number: int) -> Mapping[str, Any] | None:
        """Return what was logged last of a step; None where nothing was, or when the journal cannot say."""
        return self._query(lambda writer: writer.step(self.run.id, number), None)

    @property
    def drain_command(self) -> str:
        """What a person types to deliver this journal."""
        return collect_command(self.folder, self.shared) if self.shared else next_command("drain", self.folder)

    def session_number(self) -> int:
        """Return 1 for the run's first session, 2 for the second, …; 1 when the journal cannot say."""
        return self._query(lambda writer: writer.session_count(self.run.id), 1)

    def is_complete(self) -> bool:
        """Return whether the run's last milestone is its completion; False when the journal cannot say."""
        return self._query(lambda writer: writer.milestone(self.run.id), None) == COMPLETE

    def signals(self, *, wait: bool = True) -> list[Signal] | None:
        """Return what platforms told this session; nothing when the journal cannot be read.

        Args:
            wait: Whether to wait for another thread that writes; if not, and one does, None is returned.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            none: list[Signal] = []
            told = self._query(lambda writer: writer.signals(self.run.id), none)
            return [signal for signal in told if signal.session_id == self._connection.session_id]
        finally:
            self._lock.release()

    def arrived(self) -> Sequence[Arrived] | None:
        """Return how much of the run has arrived; None when the journal does not hold all of it, or cannot say."""
        with self._lock:
            opened = self._connection.get()
            if opened is None:
                return None
            try:
                return opened.journal.arrived(self.run.id)
            except JournalError:
                return None

    def maintain(self, wal_limit_bytes: int) -> None:
        """Do the periodic work: create a removed journal again, enforce its limit, fold its log, write a heartbeat.

        Args:
            wal_limit_bytes: The log is folded back when it has grown past this.
        """
        with self._lock:
            opened = self._connection.verified()
        try:
            if opened is not None:
                self._limit.enforce(opened)
                if opened.journal.wal_bytes() > wal_limit_bytes:
                    opened.journal.fold_wal()  # by a connection of its own: no event waits for it
                # Afterwards, as it extends the log again.
                opened.writer.heartbeat(opened.session_id, self._flushed(opened))
        except JournalError as error:
            LOGGER.debug("journal maintenance failed: %s", error)

    def hurry(self) -> None:
        """End the wait for the disk in `close`: a person wants the process to end."""
        self._is_hurried = True

    def close(self, outcome: str) -> None:
        """End the session and close the files, when all is on the disk."""
        self._flush(FLUSH_SECONDS)
        with self._lock:
            opened = self._connection.for_last_events()
            if opened is not None:
                try:
                    opened.writer.end_session(opened.session_id, outcome, self._flushed(opened))
                    if (written := opened.writer.written()) is not None:
                        self._unflushed.add(written, [])
                except JournalError as error:
                    LOGGER.debug("the session's end could not be journaled: %s", error)
            if lost := self._connection.rescue_removed():
                self.event(GIVEN_UP, removal_payload(lost))
            self._is_closed = True
            self._release()
        self._flush(FLUSH_SECONDS)

    def _write(self, kind: str, payload: Mapping[str, Any], key: str, durability: Durability | None) -> None:
        if kind == CONSOLE:
            payload, key = self.chunks.shifted(payload, key)
        try:
            event = drafts(kind, payload, key)
        except MemoryError:
            event = _without_memory(kind, key)
        opened = self._connection.ready or self._connection.get()
        # Numbered under the lock of the INSERT. An event that may be in the journal all the same goes to the fallback
        # file under the same number, so that it is ingested once.
        with opened.writer.lock if opened else nullcontext():
            entries = self.session.entries(event)
            try:
                if opened:
                    opened.writer.write(self.session, entries, durability=durability)
                    if (written := opened.writer.written()) is not None:
                        self._unflushed.add(written, entries)
                    return
            except JournalError as error:
                self._connection.back_off(error)
        self._fallback.write(entries, self._connection.session_id, self._connection.cause)

    def _flush(self, seconds: float) -> None:
        """Wait until all events are on the disk; write them to the fallback file if they cannot be flushed."""
        until = time.monotonic() + seconds
        try:
            while not self._unflushed.wait(min(_SLICE_SECONDS, until - time.monotonic())):
                if self._is_hurried or time.monotonic() >= until:
                    return self._warn(seconds)
        except OSError as error:
            self._save_unflushed(error)

    def _save_unflushed(self, error: OSError) -> None:
        with self._lock:
            if not (entries := self._unflushed.take()):
                return
            self._connection.distrust(from_os(error, self.folder / "journal.db"))
            self._fallback.write(entries, self._connection.session_id, self._connection.cause)

    def _warn(self, waited: float) -> None:
        """Warn once of a disk that does not answer; the events survive the process, whatever it does."""
        if waited >= FLUSH_SECONDS and not self._has_warned:
            self._has_warned = True
            LOGGER.warning(
                "The disk of %s does not answer: the newest %s may be lost in a power cut.",
                self.folder,
                count(len(self._unflushed), "event"),
            )

    def _flushed(self, opened: OpenSession) -> int | None:
        """Return the number of the last event that is on the disk; None where the journal does not tell."""
        with self._lock:
            return self._unflushed.settle() if opened.writer.flushes else None

    def _query(self, question: Callable[[Writer], T], default: T) -> T:
        with self._lock:
            return self._connection.query(question, default)

    def _refuse(self, file: CheckpointFile) -> NoReturn:
        reason = f"the journal has reached its limit of {self._limit.limit} bytes"
        self.event(GIVEN_UP, loss_payload(reason, [Loss("checkpoints not taken", 1, file.size)]), file.role)
        raise OverLimit(f"{self.folder} is at its limit of {readable(self._limit.limit)}")

    def _release(self) -> None:
        """Close the files."""
        self._connection.close()
        self._fallback.close()

    def _reset_in_child(self) -> None:
        """Leave to the parent, in a forked child, the lock that its threads may hold and its fallback file."""
        self._lock = threading.RLock()
        self._unflushed = UnflushedEvents()
        self._connection.reset_in_child()
        self._fallback.close()


def new_run(run_id: str, *, project: str | None, name: str, save_dir: Path) -> Run:
    """Return a run that begins now."""
    return Run(run_id, project, name, storable(str(save_dir)), now_text())


def _without_memory(kind: str, key: str) -> list[Draft]:
    """Return a record of an event that there was no memory for."""
    LOGGER.error("There was no memory left for an event (%s %s); it is lost, and that is recorded.", kind, key)
    return drafts(GIVEN_UP, loss_payload("there was no memory left for it", [Loss(kind, 1, 0)]), kind)


_session_writers: weakref.WeakSet[SessionWriter] = weakref.WeakSet()


def _reset_in_child() -> None:
    for writer in list(_session_writers):
        writer._reset_in_child()


os.register_at_fork(after_in_child=_reset_in_child)
