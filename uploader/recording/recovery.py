"""Bringing a run over from a journal whose files were removed under the training, and from fallback files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
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
    from journal.writing.writer import Writer
    from uploader.recording.open_session import OpenSession

LOGGER = logging.getLogger("uploader")
T = TypeVar("T")


class RemovedJournal:
    """What a removed journal holds of a run, and how much of it is copied; its bytes are there while it is open."""

    def __init__(self, removed: OpenSession) -> None:
        """Nothing is copied yet."""
        self._journal = removed
        self._after = self._lost = 0

    def copy_into(self, opened: OpenSession) -> None:
        """Copy the run into a journal, from where the last try stopped. What can never be had is said to be lost.

        What platforms call it comes first: announced under no such id, it would become a second model there.
        Checkpoints cannot be had any more; that they are lost is recorded.

        Raises:
            JournalError: Not now; nothing is lost by another try.
        """
        removed = self._journal
        is_back = opened.file == removed.file == removed.writer.file  # it was moved away, and back
        if is_back and not removed.writer.has_lost_its_file:
            return
        try:
            for target in self._ask(lambda writer: writer.targets(opened.run.id)):
                opened.writer.copy_target(target)
            session_ids = opened.writer.copy_sessions(self._ask(lambda writer: writer.sessions(opened.run.id)))
            while events := self._events():
                self._copy(events, opened, session_ids)
        except _Unreadable as error:
            _report_loss("What", self._journal, error)
        if self._lost:
            opened.event(GIVEN_UP, removal_payload(self._lost))
            self._lost = 0

    def write_to_fallback(self, folders: Sequence[Path], routes: Sequence[tuple[str, str]]) -> int:
        """Write what was not copied to fallback files, which the next drain takes in; say so, and let go of it.

        Args:
            folders: Where fallback files may be.
            routes: Where the run goes.

        Returns:
            How many checkpoints cannot be had any more.
        """
        files = _FallbackFiles(self._journal, folders, routes)
        try:
            while events := self._events():
                files.write(
                    self._without_checkpoints(events), self._ask(lambda writer: writer.sessions(self._journal.run.id))
                )
                self._after = events[-1].id
        except (JournalError, _Unreadable) as error:
            _report_loss("What else" if files.count else "What", self._journal, error)
        files.close()
        self.close()
        return self._lost

    def close(self) -> None:
        """Let go of the removed files, and so of what they hold."""
        self._journal.close()

    def _copy(self, events: Sequence[Event], opened: OpenSession, session_ids: Mapping[int, int]) -> None:
        opened.writer.copy(session_ids, self._without_checkpoints(events))
        self._after = events[-1].id

    def _without_checkpoints(self, events: Sequence[Event]) -> list[Event]:
        """Return those that can be told elsewhere, and count the others, whose bytes are gone."""
        kept = [event for event in events if event.kind != CHECKPOINT]
        self._lost += len(events) - len(kept)
        return kept

    def _events(self) -> Sequence[Event]:
        """Return the next ones that are not copied."""
        return self._ask(lambda writer: writer.backlog(self._journal.run.id, self._after))

    def _ask(self, question: Callable[[Writer], T]) -> T:
        """Ask the removed journal, and no other one that has its place: a connection that was closed would find that.

        Raises:
            JournalUnavailable: It does not answer now.
            _Unreadable: It never will.
        """
        writer = self._journal.writer
        with writer.lock:  # held while this process forks, which closes connections
            if writer.file != self._journal.file:
                raise _Unreadable("no connection to it is open any more")
            try:
                return question(writer)
            except JournalUnavailable:
                raise
            except JournalError as error:
                raise _Unreadable(str(error)) from error


class _FallbackFiles:
    """Fallback files of what a removed journal holds: one of each session, whose events keep their numbers.

    So nothing is doubled where the next journal has some of them.
    """

    def __init__(self, removed: OpenSession, folders: Sequence[Path], routes: Sequence[tuple[str, str]]) -> None:
        """Nothing is written yet."""
        self._journal, self._folders, self._routes = removed, folders, routes
        self._files: dict[int, FallbackFile] = {}
        self.count = 0

    def write(self, events: Sequence[Event], sessions: Sequence[Any]) -> None:
        """Write events durably.

        Args:
            events: In order.
            sessions: The rows of the run's sessions in that journal.

        Raises:
            JournalUnwritable: No folder takes a file, or takes more.
        """
        rows = {row.id: row for row in sessions}
        for event in events:
            if event.session_id not in self._files:
                self._files[event.session_id] = self._file_of(rows[event.session_id])
            entry = (event.kind, event.key, event.payload, event.created_at, event.seq)
            self._files[event.session_id].write([entry])
            self.count += 1

    def close(self) -> None:
        """Close the files, and say where they are."""
        for file in self._files.values():
            file.close()
        if self.count:
            LOGGER.warning(
                "%s events that this training wrote to %s before it was removed or replaced could not be taken over, "
                "as it could not be made anew. They are in %s, which the next `%s` takes in.",
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
        file.header = replace(file.header, started_at=row.started_at)  # files are taken in by that order
        return file


class _Unreadable(Exception):
    """What a removed journal held cannot be read any more."""


def removal_payload(checkpoints: int) -> dict[str, Any]:
    """Return what is recorded of checkpoints that were lost with their journal."""
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
