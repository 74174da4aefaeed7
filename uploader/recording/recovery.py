"""Recovers a run from a journal whose files were removed while the training has them open."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from journal.errors import JournalError, JournalUnavailable
from journal.kinds import CHECKPOINT, GIVEN_UP
from journal.losses import Loss, loss_payload
from journal.next_steps import next_command
from journal.sessions.identity import Session
from journal.writing.fallback import FallbackFile

if TYPE_CHECKING:
    from journal.records import Event
    from journal.writing.run_copy import RunCopy
    from uploader.recording.open_session import OpenSession

LOGGER = logging.getLogger("uploader")
T = TypeVar("T")


class RemovedJournal:
    """A removed journal, whose content can be read as long as it is open, and how much of a run is copied from it."""

    def __init__(self, removed: OpenSession) -> None:
        """Take the open session; nothing is copied yet."""
        self._journal = removed
        self._after = self._lost = 0

    def copy_into(self, opened: OpenSession) -> None:
        """Copy the run into another journal, continuing where the last try stopped; log what cannot be read any more.

        The platforms' ids of the run come first: registered without them, it would become a second model there.
        Checkpoints are lost with the removed folder, which is recorded.

        Raises:
            JournalError: It cannot be done now; nothing is lost by another try.
        """
        removed = self._journal
        is_back = opened.file == removed.file == removed.writer.file  # the folder was moved away and back
        if is_back and not removed.writer.has_lost_its_file:
            return
        here = opened.writer.run_copy()
        try:
            for target in self._ask(lambda there: there.targets(opened.run.id)):
                here.copy_target(target)
            session_ids = here.copy_sessions(self._ask(lambda there: there.sessions(opened.run.id)))
            while events := self._events():
                here.copy_events(session_ids, self._without_checkpoints(events))
                self._after = events[-1].id
        except _Unreadable as error:
            _report_loss("What", self._journal, error)
        if self._lost:
            opened.event(GIVEN_UP, removal_payload(self._lost))
            self._lost = 0

    def write_to_fallback(self, folders: Sequence[Path], routes: Sequence[tuple[str, str]]) -> int:
        """Write what was not copied to fallback files, which the next drain ingests, and close the removed journal.

        Args:
            folders: Where fallback files may be.
            routes: Platform name and base URL of each destination of the run.

        Returns:
            How many checkpoints are lost.
        """
        files = _FallbackFiles(self._journal, folders, routes)
        try:
            while events := self._events():
                files.write(
                    self._without_checkpoints(events), self._ask(lambda there: there.sessions(self._journal.run.id))
                )
                self._after = events[-1].id
        except (JournalError, _Unreadable) as error:
            _report_loss("What else" if files.count else "What", self._journal, error)
        files.close()
        self.close()
        return self._lost

    def close(self) -> None:
        """Close the removed files, which loses their content."""
        self._journal.close()

    def _without_checkpoints(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that are not checkpoints, and count those that are, since their bytes are gone."""
        kept = [event for event in events if event.kind != CHECKPOINT]
        self._lost += len(events) - len(kept)
        return kept

    def _events(self) -> Sequence[Event]:
        """Return the next events that are not copied yet."""
        return self._ask(lambda there: there.backlog(self._journal.run.id, self._after))

    def _ask(self, question: Callable[[RunCopy], T]) -> T:
        """Query the removed journal, never one that has taken its place, which a new connection would open.

        Raises:
            JournalUnavailable: It cannot be read now.
            _Unreadable: It can never be read again.
        """
        writer = self._journal.writer
        with writer.lock:  # a fork closes connections, and waits for this lock
            if writer.file != self._journal.file:
                raise _Unreadable("no connection to it is open any more")
            try:
                return question(writer.run_copy())
            except JournalUnavailable:
                raise
            except JournalError as error:
                raise _Unreadable(str(error)) from error


class _FallbackFiles:
    """Fallback files of a removed journal: one for each session, whose events keep their sequence numbers.

    So nothing is doubled if the next journal already has some of them.
    """

    def __init__(self, removed: OpenSession, folders: Sequence[Path], routes: Sequence[tuple[str, str]]) -> None:
        """Create no file yet."""
        self._journal, self._folders, self._routes = removed, folders, routes
        self._files: dict[int, FallbackFile] = {}
        self.count = 0

    def write(self, events: Sequence[Event], sessions: Sequence[Any]) -> None:
        """Write events durably.

        Args:
            events: In order.
            sessions: The rows of the run's sessions in that journal.

        Raises:
            JournalUnwritable: No file can be created or extended in any of the folders.
        """
        rows = {row.id: row for row in sessions}
        for event in events:
            if event.session_id not in self._files:
                self._files[event.session_id] = self._file_of(rows[event.session_id])
            entry = (event.kind, event.key, event.payload, event.created_at, event.seq)
            self._files[event.session_id].write([entry])
            self.count += 1

    def close(self) -> None:
        """Close the files, and log where they are."""
        for file in self._files.values():
            file.close()
        if self.count:
            LOGGER.warning(
                "%s events that this training wrote to %s before it was removed or replaced could not be taken over, "
                "as it could not be created again. They are in %s, which the next `%s` takes in.",
                self.count,
                self._journal.journal.path,
                ", ".join(str(path) for file in self._files.values() for path in file.paths),
                next_command("drain", self._journal.journal.path),
            )

    def _file_of(self, row: Any) -> FallbackFile:
        removed = self._journal
        session = Session(removed.run.id, row.uuid, row.generation, row.parent, row.purpose)
        session.journal = removed.journal.uuid
        file = FallbackFile(self._folders, removed.journal.path, removed.run, routes=self._routes, session=session)
        file.header = replace(file.header, started_at=row.started_at)  # files are ingested in that order
        return file


class _Unreadable(Exception):
    """A removed journal cannot be read any more."""


def removal_payload(checkpoints: int) -> dict[str, Any]:
    """Return the payload that records checkpoints lost with their journal."""
    reason = "the journal's folder was removed while the training went on"
    return loss_payload(reason, [Loss("checkpoints", checkpoints, 0)])


def _report_loss(what: str, removed: OpenSession, why: object) -> None:
    LOGGER.error(
        "%s this training wrote to %s before it was removed could not be taken over, and is lost unless the folder was "
        "only moved: %s",
        what,
        removed.journal.path,
        why,
    )
