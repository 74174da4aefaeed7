"""The recorder's thread: snapshots checkpoint files, writes heartbeats, maintains the journal and its background drain.

Events never wait for it. It is started with the recorder, and joined when the recorder finishes.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from journal.checkpoints.blobs import FileStamp, Snapshot
from journal.disk import same_disk
from journal.errors import JournalBusy, JournalError, OverLimit, SourceChanged
from journal.kinds import FINAL
from journal.storage.folding import FOLDED_AT_BYTES
from uploader.recording.background_drain import BackgroundDrain
from uploader.recording.checkpoint_file import CheckpointFile
from uploader.recording.copy_times import CopyTimes
from uploader.recording.serial_executor import bind_thread, executor, run_uninterrupted
from uploader.recording.session_writer import SessionWriter

LOGGER = logging.getLogger("uploader")

HEARTBEAT_SECONDS = 30.0
_FINAL_TRIES = 5


class _Request(NamedTuple):
    """A file to snapshot, from when on, and how often that was tried."""

    file: CheckpointFile
    due: float = -math.inf
    tries: int = 0


class SnapshotThread:
    """Snapshots the newest file of each role that was requested, one at a time, when it is due or somebody waits."""

    def __init__(
        self,
        writer: SessionWriter,
        copy_times: CopyTimes,
        taken: Callable[[], object] | None = None,
        drain: BackgroundDrain | None = None,
    ) -> None:
        """Start the thread.

        Args:
            writer: Takes the checkpoints; its journal is maintained.
            copy_times: Says when they are due.
            taken: Called after each snapshot.
            drain: Kept at work; None if nobody asked for one.
        """
        self._taken = taken or (lambda: None)
        self._writer = writer
        self._copy_times = copy_times
        self._drain = drain
        self._wake = threading.Condition()
        self._requests: dict[str, _Request] = {}
        self._newest: dict[str, FileStamp] = {}
        self._removed: dict[str, CheckpointFile] = {}
        self._kept: dict[str, tuple[CheckpointFile, Snapshot]] = {}
        self._is_busy = False
        self._is_closing = False
        self._has_ended = False
        self._is_hurried = False
        self._executor = executor()
        self._thread = threading.Thread(target=self._work, name="uploader-snapshots", daemon=True)
        self._thread.start()
        self._pid = os.getpid()

    def is_new(self, file: CheckpointFile) -> bool:
        """Return whether the file is another one than was requested last for its role."""
        return self._newest.get(file.role) != file.stamp

    def copy_of(self, file: CheckpointFile) -> Snapshot | None:
        """Return the copy of this very file that was taken; None where there is none, or a newer one of its role."""
        self._removed.pop(file.role, None)  # whoever asks tells of the loss
        kept, copy = self._kept.get(file.role, (None, None))
        return copy if kept == file else None

    def request(self, file: CheckpointFile, *, is_last: bool = False) -> None:
        """Have a file snapshotted, in place of one of the same role that still waits.

        Args:
            file: The file.
            is_last: Whether the trainer goes on to change the only file that has these weights.
        """
        self._newest[file.role] = file.stamp
        self._removed.pop(file.role, None)
        is_elsewhere = not same_disk(file.path, self._writer.folder)
        with self._wake:
            due = self._copy_times.due(file.role, time.monotonic(), is_last=is_last, is_elsewhere=is_elsewhere)
            self._requests[file.role] = _Request(file, due)
            self._wake.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until every request is served; return False when that took too long, or the wait was cut short."""
        is_interrupted = threading.Event()

        def interrupt() -> None:
            is_interrupted.set()
            with self._wake:
                self._wake.notify_all()

        def is_over() -> bool:
            return is_interrupted.is_set() or not (self._requests or self._is_busy)

        self._let_all_be_due()
        return run_uninterrupted(partial(self._wait_until, is_over, timeout), interrupt)

    def hurry(self) -> None:
        """End every wait: a person wants the process to end."""
        with self._wake:
            self._is_hurried = True
            self._wake.notify_all()

    def close(self, timeout: float) -> bool:
        """Serve the requests that are left and join the thread; return False when it was closed before."""
        with self._wake:
            if self._is_closing:
                return False
            self._is_closing = True
        self._let_all_be_due()
        if self._wait_until(lambda: self._has_ended, timeout):
            self._thread.join()
        return True

    def _let_all_be_due(self) -> None:
        with self._wake:
            self._requests = {role: each._replace(due=-math.inf) for role, each in self._requests.items()}
            self._wake.notify_all()

    def _wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for the thread, unless it is gone, in another process, or nobody is to wait any more."""
        with self._wake:
            if os.getpid() == self._pid:
                self._wake.wait_for(lambda: condition() or self._has_ended or self._is_hurried, timeout)
            return condition()

    def _work(self) -> None:
        bind_thread(self._executor)
        try:
            self._serve_all()
        finally:
            with self._wake:
                self._has_ended = True
                self._wake.notify_all()

    def _serve_all(self) -> None:
        """Serve requests until told to close, with a heartbeat in between."""
        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        self._keep_drain()
        while (request := self._next_request(beat_at)) or not self._is_closing:
            try:
                if request:
                    self._serve(request)
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + HEARTBEAT_SECONDS
                    self._writer.maintain(FOLDED_AT_BYTES)
                    self._keep_drain()
            except Exception:  # the thread has to live on for the next checkpoint, above all the final one
                LOGGER.exception("A checkpoint or a heartbeat failed in an unexpected way; training goes on")
        for file in self._removed.values():
            LOGGER.warning("%s was not snapshotted: it was removed before it was copied", file.path)
        self._keep_drain()  # one that has died since delivers the end

    def _keep_drain(self) -> None:
        if self._drain is not None:
            self._drain.keep()

    def _next_request(self, until: float) -> _Request | None:
        """Wait for a due request, but not past `until` on the monotonic clock; what is due longest comes first."""
        with self._wake:
            self._is_busy = False
            self._wake.notify_all()
            while (role := self._due_role()) is None and not self._is_closing and time.monotonic() < until:
                next_due = min((request.due for request in self._requests.values()), default=until)
                self._wake.wait(max(0.0, min(until, next_due) - time.monotonic()))
            self._is_busy = role is not None
            return self._requests.pop(role) if role is not None else None

    def _due_role(self) -> str | None:
        dues = {role: request.due for role, request in self._requests.items()}
        role = min(dues, key=dues.__getitem__, default=None)
        return role if role is not None and dues[role] <= time.monotonic() else None

    def _serve(self, request: _Request) -> None:
        try:
            copy = self._writer.add_checkpoint(request.file)
            with self._wake:
                self._kept[request.file.role] = request.file, copy
                self._copy_times.copied(request.file.role, time.monotonic(), is_free=copy.is_shared)
            self._taken()
        except (JournalError, OSError) as error:
            if not self._try_again(request, error):
                self._report(request.file, error)

    def _try_again(self, request: _Request, error: Exception) -> bool:
        """Request a final checkpoint again, because nobody else will; of any other one a later save does."""
        file, is_passing = request.file, isinstance(error, (SourceChanged, JournalBusy))
        now = file.refreshed()
        with self._wake:
            if file.role == FINAL and is_passing and now and request.tries < _FINAL_TRIES:
                self._requests.setdefault(file.role, _Request(now, tries=request.tries + 1))
                return True
            if self._newest.get(file.role) == file.stamp:
                del self._newest[file.role]
        return False

    def _report(self, file: CheckpointFile, error: Exception) -> None:
        """Log a failure; as a warning unless the save that rewrote the file requests it, or the journal has warned.

        Of a file that was removed it is told at the end, unless another was saved in its role: a trainer that keeps the
        best few removes the others.
        """
        is_replaced = isinstance(error, SourceChanged) and file.role != FINAL
        if is_replaced and not file.path.exists():
            with self._wake:
                if file.role not in self._requests:
                    self._removed[file.role] = file
        level = logging.DEBUG if is_replaced or isinstance(error, OverLimit) else logging.WARNING
        LOGGER.log(level, "%s was not snapshotted: %s", file.path, error)
