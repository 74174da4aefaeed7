"""Where a training's events go: the journal when it can be written, a fallback file when it cannot.

Nothing here raises for a journal that fails: the training must not be the victim. What could not be journaled is in the
fallback file when `event` returns, a warning says so once, and the journal is tried again after a while.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from journal.clock import now_text
from journal.encoding import storable
from journal.errors import JournalError, JournalUnavailable, OverLimit
from journal.kinds import COMPLETE, CONSOLE, GIVEN_UP
from journal.locations import DEFAULT_MAX_SIZE, default_journal, expanded, fallback_folders
from journal.losses import Loss, loss_payload
from journal.records import Run, Signal
from journal.sessions.identity import Entry, Session
from journal.sizes import readable
from journal.storage.database import Durability
from journal.wording import next_command
from journal.writing.fallback import FallbackFile
from journal.writing.payloads import drafts
from uploader.recording.console_ids import ChunkIds
from uploader.recording.open_session import OpenSession
from uploader.recording.place_warnings import warn_of_places
from uploader.recording.recovery import RemovedJournal, ingest_fallback, removal_payload

if TYPE_CHECKING:
    from journal.checkpoints.blobs import Identity
    from journal.writing.writer import Writer

LOGGER = logging.getLogger("uploader")
T = TypeVar("T")

# A write waits this long for another process at most, and a journal that failed is left alone for this long.
BUSY_SECONDS = 2.0
RETRY_SECONDS = 30.0
# A larger fallback file is left to the drain: the training does not wait for it.
CATCH_UP_BYTES = 1 << 20


@dataclass(frozen=True)
class JournalOptions:
    """Which journal, and where its runs go; holds no secret and can be pickled to other processes.

    Attributes:
        journal: The folder; None for the default.
        durability: `full` survives a power cut, `process` a killed process.
        routes: Where the run goes: name of the platform's API and base URL; "" leaves the address, and no route at all
            the whole choice, to the first drain.
        max_size: Bytes from which what may be given up is; see `journal.retention.eviction`.
    """

    journal: str | None = None
    durability: Durability = "full"
    routes: tuple[tuple[str, str], ...] = ()
    max_size: int = DEFAULT_MAX_SIZE


class SessionWriter:
    """One session of one run, as far as writing goes. Its methods may be called from any thread.

    Attributes:
        run: The run; it has an id even when no journal could be opened.
        session: Numbers the events, wherever they go.
        chunks: Keeps the ids of console chunks above those of earlier sessions.
        folder: The journal's folder.
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
            session: Numbers the events; by default a new one.
            chunks_before: Id of the run's last console chunk, as far as it is known besides by the journal.
        """
        self.run = run
        self.session = session or Session(run.id)
        # Both once and for all: a training may change its working folder, and a relative path is of the one it was in.
        self.folder = expanded(options.journal) if options.journal else default_journal()
        self._fallback_folders = fallback_folders()
        self._options = options
        self._clock = clock
        self._lock = threading.RLock()
        self._opened: OpenSession | None = None
        self._removed: list[RemovedJournal] = []
        self._fallback: FallbackFile | None = None
        self._retry_at: float | None = None
        self._session_id: int | None = None
        self._cause: JournalError | None = None
        self._warned = self._is_over = False
        self._is_closed = self._is_catching_up = False
        _session_writers.add(self)
        warn_of_places(self.folder, is_named=options.journal is not None)
        self._available()
        self.chunks = ChunkIds(max(chunks_before, self._last_chunk()))

    def event(self, kind: str, payload: Mapping[str, Any], key: str = "", durability: Durability | None = None) -> None:
        """Write one event, durably, to the journal or else to the fallback file; see `Writer.append`."""
        with self._lock:
            self._write(kind, payload, key, durability)
            if self._is_closed:  # somebody was late
                self._release()

    def add_checkpoint(self, source: Path, expected: Identity, role: str, payload: Mapping[str, Any]) -> None:
        """Snapshot a file, as it was when `expected` was taken of it, into the journal and refer to it.

        Raises:
            JournalError: It could not be done; `SourceChanged` when the trainer rewrote the file meanwhile, `OverLimit`
                when the journal has no place for it.
        """
        with self._lock:
            opened = self._reconnected()
        if opened is None:
            raise JournalUnavailable(f"{self.folder} cannot be written")
        # Outside the lock: both may take long, and events must not wait.
        if not self._enforce_limit(opened, expected[1], role):
            self._not_taken(expected[1], role)
        try:
            opened.add_checkpoint(source, expected, role, payload)
        finally:
            if self._is_closed:  # nobody waited for it
                opened.close()

    @property
    def drain_command(self) -> str:
        """What a person types to deliver this journal."""
        return next_command("drain", self.folder)

    def session_number(self) -> int:
        """Return 1 for the run's first session, 2 for the second, …; 1 when the journal cannot say."""
        return self._ask(lambda writer: writer.session_count(self.run.id), 1)

    def _reset_in_child(self) -> None:
        """Leave to the parent of a forked child what is its own: a lock that its threads hold, its fallback file."""
        self._lock = threading.RLock()
        self._is_catching_up = False
        self._removed = []
        if self._fallback is not None:
            self._fallback.close()
            self._fallback = None

    def _last_chunk(self) -> int:
        return self._ask(lambda writer: writer.last_chunk(self.run.id), 0)

    def is_complete(self) -> bool:
        """Return whether the run's last milestone is its completion; False when the journal cannot say."""
        return self._ask(lambda writer: writer.milestone(self.run.id), None) == COMPLETE

    def signals(self, *, wait: bool = True) -> list[Signal] | None:
        """Return what platforms told this session; nothing when the journal cannot be read.

        Args:
            wait: Whether to wait for another thread that writes; if not, and one does, None is returned.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            none: list[Signal] = []
            told = self._ask(lambda writer: writer.signals(self.run.id), none)
            return [signal for signal in told if signal.session_id == self._session_id]
        finally:
            self._lock.release()

    def maintain(self, wal_limit_bytes: int) -> None:
        """Do what is due now and then: see that the journal is there and small enough, fold its log, write a heartbeat.

        Args:
            wal_limit_bytes: The log is folded back when it has grown past this.
        """
        with self._lock:
            opened = self._reconnected()
        try:
            if opened is not None:
                self._enforce_limit(opened)
                if opened.journal.wal_bytes() > wal_limit_bytes:
                    opened.journal.fold_wal()  # by a connection of its own: no event waits for it
                opened.writer.heartbeat(opened.session_id)  # afterwards: it makes room in the log again
        except JournalError as error:
            LOGGER.debug("journal maintenance failed: %s", error)

    def close(self, outcome: str) -> None:
        """End the session and let go of the files."""
        with self._lock:
            opened = self._reconnected()
            if opened is None and self._removed:  # nobody else has what they hold: do not wait for the time-out
                self._retry_at = None
                opened = self._available()
            if opened is not None:
                try:
                    opened.writer.end_session(opened.session_id, outcome)
                except JournalError as error:
                    LOGGER.debug("the session's end could not be journaled: %s", error)
            self._is_closed = True
            while self._removed:
                lost = self._removed.pop(0).write_to_fallback(self._fallback_folders, self._options.routes)
                if lost:
                    self._write(GIVEN_UP, removal_payload(lost), "", None)
            self._release()

    def _write(self, kind: str, payload: Mapping[str, Any], key: str, durability: Durability | None) -> None:
        if kind == CONSOLE:
            payload, key = self.chunks.placed(payload, key)
        try:
            event = drafts(kind, payload, key)
        except MemoryError:
            LOGGER.error("There was no memory left for an event (%s %s); it is lost, and that is recorded.", kind, key)
            event = drafts(GIVEN_UP, loss_payload("there was no memory left for it", [Loss(kind, 1, 0)]), kind)
        opened = self._available()
        # Numbered under the lock of the INSERT. What may be in the journal all the same goes to the fallback file under
        # the same number, so that it is taken in once.
        with opened.writer.lock if opened else nullcontext():
            entries = self.session.entries(event)
            try:
                if opened:
                    opened.writer.write(self.session, entries, durability=durability)
                    return
            except JournalError as error:
                self._back_off(error)
        self._fall_back(entries)

    def _release(self) -> None:
        """Let go of the files."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        if self._fallback is not None:
            self._fallback.close()
            self._fallback = None

    def _ask(self, question: Callable[[Writer], T], otherwise: T) -> T:
        with self._lock:
            try:
                return question(self._opened.writer) if self._opened is not None else otherwise
            except JournalError:
                return otherwise

    def _available(self) -> OpenSession | None:
        """Return the journal when it is to be tried, opened (again) when its time-out has passed."""
        if self._retry_at is not None and self._clock() < self._retry_at:
            return None
        self._retry_at = None
        try:
            if self._opened is None:
                self._opened = self._open()
            self._catch_up(self._opened)
        except JournalError as error:
            self._back_off(error)
            return None
        return self._opened

    def _open(self) -> OpenSession:
        options = self._options
        opened = OpenSession.open(
            self.folder,
            self.run,
            self.session,
            options.routes,
            durability=options.durability,
            busy_seconds=BUSY_SECONDS,
        )
        self._session_id = opened.session_id
        return opened

    def _reconnected(self) -> OpenSession | None:
        """Return the journal as `_available` does, made anew when somebody has removed it."""
        if self._opened is not None and self._opened.is_severed():
            LOGGER.warning("%s was removed while this training writes to it; it is made anew.", self.folder)
            self._removed.append(RemovedJournal(self._opened))
            self._opened = self._session_id = None
        return self._available()

    def _catch_up(self, opened: OpenSession) -> None:
        """Bring over what removed journals and the fallback file hold, before anything that follows it is written."""
        if self._is_catching_up:  # an event of a signal handler, in the middle of it
            return
        self._is_catching_up = True
        try:
            while self._removed:
                self._removed[0].copy_into(opened)
                self._removed.pop(0).close()
            if file := self._fallback:
                with suppress(OSError):  # what stays is for the drain
                    ingest_fallback(file, opened, CATCH_UP_BYTES)
                file.close()
                self._fallback = None
        finally:
            self._is_catching_up = False

    def _enforce_limit(self, opened: OpenSession, size: int = 0, role: str | None = None) -> bool:
        """See `OpenSession.enforce_limit`; what cannot be told now is tried again."""
        try:
            fits = opened.enforce_limit(self._options.max_size, size, role)
        except (JournalError, OSError) as error:
            LOGGER.debug("the journal's size could not be kept: %s", error)
            return True
        if not fits and not self._is_over:
            self._is_over = True
            LOGGER.warning(
                "The journal %s has reached its limit of %s (UPLOADER_MAX_SIZE), also without what may be given up. "
                "Metrics and the final checkpoint are still kept; other checkpoints are not. Make room: `%s`.",
                self.folder,
                readable(self._options.max_size),
                self.drain_command,
            )
        return fits

    def _not_taken(self, size: int, role: str) -> NoReturn:
        reason = f"the journal has reached its limit of {self._options.max_size} bytes"
        self.event(GIVEN_UP, loss_payload(reason, [Loss("checkpoints not taken", 1, size)]), role)
        raise OverLimit(f"{self.folder} is at its limit of {readable(self._options.max_size)}")

    def _back_off(self, error: JournalError) -> None:
        """Leave the journal alone for a while, and say so once."""
        self._retry_at = self._clock() + RETRY_SECONDS
        # A lock that could not be let go ends with its connection; the next call opens one. But what a removed journal
        # holds is there only as long as it is open.
        if self._opened is not None and not self._opened.is_severed():
            self._opened.writer.close()
        self._cause = self._cause or error

    def _warn_of_fallback(self, file: FallbackFile) -> None:
        """Say once that the journal failed, and where the events are instead."""
        if self._warned:
            return
        self._warned = True
        LOGGER.warning(
            "The journal cannot be written: %s. Training goes on; events go to a fallback file under %s, which the "
            "next `%s` takes in; where that looks elsewhere, UPLOADER_FALLBACK names the folder.",
            self._cause,
            self._describe_folder(file),
            self.drain_command,
        )

    def _describe_folder(self, file: FallbackFile) -> str:
        """Return the folder of a fallback file, and what to see to where the next drain may not look there."""
        assert file.path is not None  # an event is in it
        folder = file.path.parent
        if folder == self._fallback_folders[0]:
            return str(folder)
        return f"{folder} (a temporary folder: if it is a job's own, copy it out before the job ends)"

    def _fall_back(self, entries: Sequence[Entry]) -> None:
        try:
            if self._fallback is not None and self._fallback.header.session != self.session.uuid:  # its parent's
                self._fallback.close()
                self._fallback = None
            if self._fallback is None:
                self._fallback = FallbackFile(
                    self._fallback_folders,
                    self.folder,
                    self.run,
                    session_id=self._session_id,
                    routes=self._options.routes,
                    session=self.session,
                )
            self._fallback.write(entries)
            self._warn_of_fallback(self._fallback)
        except JournalError as error:
            LOGGER.error("An event (%s) could be written nowhere and is lost: %s", entries[-1][0], error)


_session_writers: weakref.WeakSet[SessionWriter] = weakref.WeakSet()


def _reset_in_child() -> None:
    for writer in list(_session_writers):
        writer._reset_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)


def new_run(run_id: str, *, project: str | None, name: str, save_dir: Path) -> Run:
    """Return a run that begins now."""
    return Run(run_id, project, name, storable(str(save_dir)), now_text())
