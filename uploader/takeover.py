"""Bringing a run over from a journal whose files were removed under the training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from journal.errors import JournalError, JournalUnavailable
from journal.losses import Loss, loss_payload
from journal.records import GIVEN_UP

if TYPE_CHECKING:
    from journal.records import Event
    from journal.writer import Writer
    from uploader.link import Link

LOGGER = logging.getLogger("uploader")
T = TypeVar("T")


class TakeOver:
    """What a removed journal holds of a run, and how much of it is copied; its bytes are there while it is open."""

    def __init__(self, severed: Link) -> None:
        """Nothing is copied yet."""
        self._severed = severed
        self._after = self._lost = 0

    def into(self, link: Link) -> None:
        """Copy the run into a journal, from where the last try stopped. What can never be had is said to be lost.

        What platforms call it comes first: announced under no such id, it would become a second model there.
        Checkpoints cannot be had any more; that they are lost is recorded.

        Raises:
            JournalError: Not now; nothing is lost by another try.
        """
        severed = self._severed
        is_back = link.file == severed.file == severed.writer.file  # it was moved away, and back
        if is_back and not severed.writer.is_cut_off:
            return
        try:
            for target in self._ask(lambda writer: writer.targets(link.run.id)):
                link.writer.copy_target(target)
            session_ids = link.writer.copy_sessions(self._ask(lambda writer: writer.sessions(link.run.id)))
            while events := self._events():
                self._copy(events, link, session_ids)
        except _OutOfReach as error:
            _say_lost("What", self._severed, error)
        if self._lost:
            reason = "the journal's folder was removed while the training went on"
            link.event(GIVEN_UP, loss_payload(reason, [Loss("checkpoints", self._lost, 0)]))
            self._lost = 0

    def abandon(self) -> None:
        """Say what was not copied, and let go of it."""
        count = 0
        try:
            while events := self._events():
                count += len(events)
                self._after = events[-1].id
            if count:
                _say_lost(f"{count} events that", self._severed, "it could not be made anew")
        except (JournalError, _OutOfReach) as error:
            _say_lost("What", self._severed, error)
        self.close()

    def close(self) -> None:
        """Let go of the removed files, and so of what they hold."""
        self._severed.close()

    def _copy(self, events: Sequence[Event], link: Link, session_ids: Mapping[int, int]) -> None:
        kept = [event for event in events if event.kind != "checkpoint"]
        link.writer.copy(session_ids, kept)
        self._lost += len(events) - len(kept)
        self._after = events[-1].id

    def _events(self) -> Sequence[Event]:
        """Return the next ones that are not copied."""
        return self._ask(lambda writer: writer.backlog(self._severed.run.id, self._after))

    def _ask(self, question: Callable[[Writer], T]) -> T:
        """Ask the removed journal, and no other one that has its place: a connection that was closed would find that.

        Raises:
            JournalUnavailable: It does not answer now.
            _OutOfReach: It never will.
        """
        writer = self._severed.writer
        with writer.lock:  # held while this process forks, which closes connections
            if writer.file != self._severed.file:
                raise _OutOfReach("no connection to it is open any more")
            try:
                return question(writer)
            except JournalUnavailable:
                raise
            except JournalError as error:
                raise _OutOfReach(str(error)) from error


class _OutOfReach(Exception):
    """What a removed journal held cannot be read any more."""


def _say_lost(what: str, severed: Link, why: object) -> None:
    LOGGER.error(
        "%s this training wrote to %s before it was removed could not be taken over, and is lost unless the folder was "
        "only moved: %s",
        what,
        severed.journal.path,
        why,
    )
