"""One drain for each journal; a second one says who the first is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from journal.checkpoints.blobs import delete
from journal.disk import give_to_owner_of
from journal.errors import from_os
from journal.reading.drain_at_work import HOLDER, DrainAtWork, DrainProgress, last_drain
from uploader.errors import DrainLocked

LOCK = "drain.lock"
_LOG = logging.getLogger(__name__)


class HeldLock:
    """A journal's lock, held, and what others are told of who holds it."""

    def __init__(self, folder: Path, holder: DrainAtWork) -> None:
        """Tell of the holder.

        Args:
            folder: The journal.
            holder: This drain.
        """
        self._folder = folder
        self._holder = holder
        self._was_stopped = False
        self.tell()

    def tell(self) -> None:
        """Tell who holds the lock."""
        with suppress(OSError):  # it is only for what others say, and for what they leave to this drain
            self._holder.write(self._folder)

    def untell(self) -> None:
        """Tell nothing any more: whoever finds the lock held from now on waits for its end."""
        delete(self._folder / HOLDER)

    def tell_warnings(self, warnings: tuple[str, ...]) -> None:
        """Tell what is in the way; it changes rarely.

        Args:
            warnings: In words, without secrets.
        """
        if warnings != self._holder.warnings:
            self._holder = replace(self._holder, warnings=warnings)
            self.tell()

    def tell_progress(self, progress: DrainProgress) -> None:
        """Tell how far this drain is, for `status` in any shell.

        Args:
            progress: How far.
        """
        if progress != self._holder.progress:
            self._holder = replace(self._holder, progress=progress)
            self.tell()

    def renew(self) -> None:
        """Do nothing: the lock is held until it is let go."""

    def note_stop(self) -> None:
        """Have it told, once the lock is released, that this drain ended because a person, or the system, wanted it."""
        self._was_stopped = self._holder.is_background

    def release(self) -> None:
        """Tell how it ended, if that matters to a training."""
        if self._was_stopped:
            self._holder = replace(self._holder, was_stopped=True)
            self.tell()
        else:
            self.untell()


def _locked(folder: Path) -> DrainLocked:
    """Return the error for a lock that is held. What is told may be that of an earlier drain, which was killed."""
    holder = last_drain(folder)
    who = holder.in_words if holder else "it has just begun"
    does_all = holder is not None and holder.is_background and not holder.is_gone
    return DrainLocked(f"another drain works on {folder}: {who}", does_all=does_all)


@contextmanager
def lock_when_free(
    folder: Path, may_wait: Callable[[], bool], *, is_background: bool = False, log: Path | None = None
) -> Iterator[HeldLock]:
    """Hold the journal's lock, once no other drain does; one that does the work of a background drain is left to it.

    Args:
        folder: The journal.
        may_wait: Waits a little; returns whether to try again.
        is_background: Whether this drain is one that a training started.
        log: The file that it prints to, if it has one.

    Raises:
        DrainLocked: Another drain holds it.
    """
    has_warned = False
    while True:
        try:
            with drain_lock(folder, is_background=is_background, log=None if log is None else str(log)) as held:
                yield held
            return
        except DrainLocked as error:
            if (is_background and error.does_all) or not may_wait():
                raise
            if not has_warned:
                _LOG.warning("%s; waiting for its end", error)
            has_warned = True


@contextmanager
def drain_lock(folder: Path, *, is_background: bool = False, log: str | None = None) -> Iterator[HeldLock]:
    """Hold the journal's lock for as long as the block lasts; the system frees it when the process dies.

    Args:
        folder: The journal.
        is_background: Whether this drain is one that a training started.
        log: The file that it prints to, if it has one.

    Raises:
        DrainLocked: Another drain holds it; the message says which.
    """
    lock = FileLock(folder / LOCK, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise _locked(folder) from None
    except OSError as error:
        raise from_os(error, folder / LOCK) from error
    try:
        give_to_owner_of(folder / LOCK, folder)
        held = HeldLock(folder, DrainAtWork(is_background=is_background, log=log))
        try:
            yield held
        finally:
            held.release()
    finally:
        lock.release()
