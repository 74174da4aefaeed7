"""A session's fallback file: what the journal does not take is written there, and ingested when the journal is back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from journal.errors import JournalError
from journal.locations import fallback_folders
from journal.next_steps import intake_at
from journal.records import Run
from journal.sessions.identity import Entry, Session
from journal.writing.fallback import FallbackFile

if TYPE_CHECKING:
    from uploader.recording.open_session import OpenSession

LOGGER = logging.getLogger("uploader")

# A larger fallback file, or one whose events take longer to be flushed, is left to the drain: no training waits for it.
CATCH_UP_BYTES = 1 << 20
CATCH_UP_SECONDS = 2.0


class SessionFallback:
    """Writes a session's events to a fallback file while the journal cannot be written; not thread-safe by itself.

    Attributes:
        folders: Where fallback files may be, in order of preference.
    """

    def __init__(
        self, journal: Path, run: Run, session: Session, routes: Sequence[tuple[str, str]], max_wait: float
    ) -> None:
        """Create no file yet.

        Args:
            journal: The journal's folder.
            run: The run.
            session: Numbers the events.
            routes: Platform name and base URL of each destination of the run.
            max_wait: Seconds that an event waits for a flush.
        """
        # Determined once: a training may change its working folder, and a relative path means the one it started in.
        self.folders = fallback_folders()
        self._journal = journal
        self._run = run
        self._session = session
        self._routes = routes
        self._file: FallbackFile | None = None
        self._max_wait = max_wait
        self._has_warned = False

    def write(self, entries: Sequence[Entry], session_id: int | None, cause: JournalError | None) -> None:
        """Write numbered events; log their loss when they can be written nowhere.

        Args:
            entries: The events.
            session_id: The session's row in the journal, if it has one.
            cause: Why the journal does not take them.
        """
        try:
            if self._file is not None and self._file.header.session != self._session.uuid:  # that of its parent
                self.close()
            if self._file is None:
                self._file = FallbackFile(
                    self.folders,
                    self._journal,
                    self._run,
                    session_id=session_id,
                    routes=self._routes,
                    session=self._session,
                    max_wait=self._max_wait,
                )
            self._file.write(entries)
            self._warn(self._file, cause)
        except JournalError as error:
            LOGGER.error("An event (%s) could be written nowhere and is lost: %s", entries[-1][0], error)

    def ingest_into(self, opened: OpenSession) -> None:
        """Ingest the file into the journal and delete it.

        One that is larger, cannot be read, or whose events are not flushed soon, is left to the drain.

        Raises:
            JournalError: The journal does not take it now.
        """
        if self._file is None:
            return
        with suppress(OSError):
            size = self._file.size()
            if size <= CATCH_UP_BYTES:
                is_durable = opened.writer.ingest(self._file, opened.session_id, CATCH_UP_SECONDS)
                if is_durable and self._file.size() == size:  # a forked child may have written to it meanwhile
                    self._file.remove()
        self.close()

    def close(self) -> None:
        """Close the file; the next event begins another one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _warn(self, file: FallbackFile, cause: JournalError | None) -> None:
        """Warn once that the journal failed, and where the events are instead."""
        if self._has_warned:
            return
        self._has_warned = True
        LOGGER.warning(
            "The journal cannot be written: %s. Training goes on; events go to a fallback file under %s, which "
            "%s takes in; where that looks elsewhere, UPLOADER_FALLBACK names the folder.",
            cause,
            self._described_folder(file),
            intake_at(str(self._journal)),
        )

    def _described_folder(self, file: FallbackFile) -> str:
        """Return the folder of a fallback file, with a hint where the next drain may not look there."""
        assert file.path is not None  # an event is in it
        folder = file.path.parent
        if folder == self.folders[0]:
            return str(folder)
        return f"{folder} (a temporary folder: if it is a job's own, copy it out before the job ends)"
