"""A session's connection to the journal: opened again after a failure, and the journal created again after its removal.

After a failure the journal is left alone for a while. Before anything new is written, what a removed journal and the
fallback file hold is brought over, so that events arrive in order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from journal.errors import JournalError
from journal.records import Run
from journal.sessions.identity import Session
from uploader.recording.journal_options import JournalOptions
from uploader.recording.open_session import OpenSession
from uploader.recording.recovery import RemovedJournal
from uploader.recording.session_fallback import SessionFallback

if TYPE_CHECKING:
    from journal.writing.writer import Writer

LOGGER = logging.getLogger("uploader")
T = TypeVar("T")

# How long a write waits for another process at most, and how long a journal that failed is left alone.
BUSY_SECONDS = 2.0
RETRY_SECONDS = 30.0


class JournalConnection:
    """One session's connection to its journal; not thread-safe by itself.

    Attributes:
        folder: The journal's folder.
        ready: The open session while nothing has to be done before the next event; else None, and `get` does it.
        session_id: The session's row in the journal; None before it has one.
        cause: The first failure of the journal.
    """

    def __init__(
        self,
        folder: Path,
        run: Run,
        session: Session,
        options: JournalOptions,
        *,
        fallback: SessionFallback,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet.

        Args:
            folder: The journal's folder.
            run: The run.
            session: Numbers the events.
            options: How to open the journal, and where the run goes.
            fallback: Has the events that the journal did not take.
            clock: Seconds; never goes back.
        """
        self.folder = folder
        self.ready: OpenSession | None = None
        self.session_id: int | None = None
        self.cause: JournalError | None = None
        self._run = run
        self._session = session
        self._options = options
        self._fallback = fallback
        self._clock = clock
        self._opened: OpenSession | None = None
        self._removed: list[RemovedJournal] = []
        self._retry_at: float | None = None
        self._is_catching_up = False

    def get(self) -> OpenSession | None:
        """Return the open session, opening it if need be; None while the journal fails or is left alone."""
        if self._retry_at is not None and self._clock() < self._retry_at:
            return None
        self._retry_at = None
        try:
            if self._opened is None:
                self._opened = self._open()
            self._catch_up(self._opened)
        except JournalError as error:
            self.back_off(error)
            return None
        return self._opened

    def verified(self) -> OpenSession | None:
        """Return the open session as `get` does, having created the journal again if somebody has removed it."""
        if self._opened is not None and self._opened.is_unlinked():
            LOGGER.warning("%s was removed while this training writes to it; it is created again.", self.folder)
            self._removed.append(RemovedJournal(self._opened))
            self._opened = self.ready = self.session_id = None
        return self.get()

    def for_last_events(self) -> OpenSession | None:
        """Return the open session at the end of the training: a removed journal's events are not left waiting."""
        opened = self.verified()
        if opened is None and self._removed:  # nothing else holds these events: try again at once
            self._retry_at = None
            opened = self.get()
        return opened

    def back_off(self, error: JournalError) -> None:
        """Leave the journal alone for a while after a failure."""
        self.ready = None
        self._retry_at = self._clock() + RETRY_SECONDS
        # A lock that could not be released ends with its connection; the next call opens one. But what a removed
        # journal holds can be read only as long as it is open.
        if self._opened is not None and not self._opened.is_unlinked():
            self._opened.writer.close()
        self.cause = self.cause or error

    def distrust(self, error: JournalError) -> None:
        """Leave the journal alone for a while after a failed flush, and its log until all of it is in the database."""
        if self._opened is not None:
            self._opened.writer.distrust_log()
        self.back_off(error)

    def query(self, question: Callable[[Writer], T], default: T) -> T:
        """Ask the journal something; return the default when it cannot answer."""
        try:
            return question(self._opened.writer) if self._opened is not None else default
        except JournalError:
            return default

    def rescue_removed(self) -> int:
        """Write what removed journals still hold to fallback files; return how many checkpoints are lost with them."""
        lost = 0
        while self._removed:
            lost += self._removed.pop(0).write_to_fallback(self._fallback.folders, self._options.routes)
        return lost

    def close(self) -> None:
        """Close the journal; the next `get` opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = self.ready = None

    def reset_in_child(self) -> None:
        """Forget, in a forked child, what only its parent may bring over."""
        self.ready = None
        self._is_catching_up = False
        self._removed = []

    def _open(self) -> OpenSession:
        opened = OpenSession.open(
            self.folder,
            self._run,
            self._session,
            self._options.routes,
            durability=self._options.durability,
            busy_seconds=BUSY_SECONDS,
        )
        self.session_id = opened.session_id
        return opened

    def _catch_up(self, opened: OpenSession) -> None:
        """Bring over what removed journals and the fallback file hold, before anything that follows it is written."""
        if self._is_catching_up:  # an event of a signal handler, in the middle of it
            return
        self._is_catching_up = True
        try:
            while self._removed:
                self._removed[0].copy_into(opened)
                self._removed.pop(0).close()
            self._fallback.ingest_into(opened)
            self.ready = opened
        finally:
            self._is_catching_up = False
