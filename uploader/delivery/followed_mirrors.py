"""Mirrors that a drain watches: each is looked at by a thread of its own, so that one which hangs delays nothing else.

What a look brings in, the drain notices as it notices what a training writes. A mirror that cannot be used is said
once, and is looked at again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

from journal.errors import JournalError
from journal.mirror.following import Following
from journal.mirror.restoring import Restored
from journal.opening import open_with_room
from uploader.errors import SettingsError
from uploader.run_selection import choose_runs

LOOK_SECONDS = 2.0
"""How soon a mirror is looked at again that had something new."""
LONGEST_SECONDS = 30.0
"""How soon one that has had nothing new for a while."""
SHARE = 20
"""Looks take at most this fraction of the time: one part in 20."""
PATIENCE_SECONDS = 60.0
"""How long a drain waits for the first look at most."""
CLOSE_SECONDS = 5.0
"""How long for the last one to end."""

_LOG = logging.getLogger("uploader")


class FollowedMirrors:
    """The mirrors that are taken into one journal while that is drained.

    Attributes:
        runs: Uuids of the runs to deliver; more are added as they come.
    """

    def __init__(
        self,
        journal: Path,
        addresses: Sequence[str],
        names: Sequence[str] = (),
        say: Callable[[str, Restored], object] = lambda *_: None,
    ) -> None:
        """Start no thread yet.

        Args:
            journal: The folder of the journal that they are taken into.
            addresses: The mirrors'.
            names: What a person named of their runs; none means all.
            say: Hears of an address, and what its first look came to.
        """
        self.runs: list[str] = []
        self._mirrors = [_Followed(journal, address, names, self.runs, say) for address in addresses]

    def start(self) -> None:
        """Start the threads, and wait for their first looks, so that it is known which runs there are."""
        for one in self._mirrors:
            one.start()
        until = time.monotonic() + PATIENCE_SECONDS
        for one in self._mirrors:
            if not one.has_looked.wait(max(0.0, until - time.monotonic())):
                _LOG.warning("The mirror %s is slow: what it has is delivered as it comes in", one.address)

    def close(self) -> None:
        """End the threads; one that hangs is left to itself."""
        for one in self._mirrors:
            one.stop()
        until = time.monotonic() + CLOSE_SECONDS
        for one in self._mirrors:
            one.join(max(0.0, until - time.monotonic()))

    @property
    def are_over(self) -> bool:
        """Whether nobody trained into them any more when they were looked at last, and all of them is taken in."""
        return all(one.is_over for one in self._mirrors)

    @property
    def troubles(self) -> list[str]:
        """In words, what of them is not taken in."""
        unread = [one.error for one in self._mirrors if one.error]
        return [*unread, *(what for one in self._mirrors for what in one.troubles)]

    @property
    def other_models(self) -> list[str]:
        """In words, their runs that are another model there than here."""
        return [why for one in self._mirrors for why in one.other_models]


class _Followed:
    """One of them, and its thread."""

    def __init__(
        self,
        journal: Path,
        address: str,
        names: Sequence[str],
        runs: list[str],
        say: Callable[[str, Restored], object],
    ) -> None:
        self.address = address
        self.is_over = False
        self.troubles: list[str] = []
        self.other_models: list[str] = []
        self.has_looked = Event()
        self._journal = journal
        self._names = names
        self._runs = runs
        self._say = say
        self._said: set[str] = set()
        self.error = ""
        self._following: Following | None = None
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="drain-follow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        pause = LOOK_SECONDS
        with ExitStack() as stack:
            while not self._stopping.is_set():
                began = time.monotonic()
                is_new = self._try(stack)
                self.has_looked.set()
                pause = next_pause(pause, time.monotonic() - began, is_new=is_new)
                self._stopping.wait(pause)

    def _try(self, stack: ExitStack) -> bool:
        """Look once, and live on for what comes if that fails; return whether there was anything new."""
        try:
            if self._following is None:
                self._following = Following(stack.enter_context(open_with_room(self._journal)), self.address)
            return self._look(self._following)
        except Exception as error:  # noqa: BLE001 - the thread has to live on
            self._fail(error)
            return False

    def _look(self, following: Following) -> bool:
        """Look once; return whether there was anything new."""
        self.is_over = False
        restored = following.look()
        chosen, unknown = self._chosen(following)
        self._runs += [run for run in chosen if run not in self._runs]
        self.troubles, self.other_models = [*unknown, *following.troubles], following.other_models
        for what in following.lasting_troubles:
            self._warn(f"Of the mirror {self.address}: {what}")
        if self.error:
            _LOG.warning("The mirror %s can be used again.", self.address)
        if not self.has_looked.is_set() or self.error:
            self._say(self.address, restored)
        self.error = ""
        self.is_over = following.is_over and not unknown
        return bool(restored.runs or restored.checkpoints)

    def _chosen(self, following: Following) -> tuple[Sequence[str], list[str]]:
        """Return the runs to deliver, and in words what a person named and is not there: it may come in later."""
        if not self._names:
            return following.runs, []
        try:
            return choose_runs(following.known_runs(), self._names, self._journal) or (), []
        except SettingsError as error:
            why = f"{self.address}: {str(error).partition(';')[0]}"
            self._warn(why)
            return (), [why]

    def _fail(self, error: Exception) -> None:
        self.is_over = False
        why = str(error) if isinstance(error, JournalError) else type(error).__name__
        if why == self.error:
            return
        self.error = why
        if isinstance(error, JournalError):
            _LOG.warning("Nothing new comes in for now, and it is looked at again: %s", why)
        else:
            _LOG.error("Following the mirror %s failed in an unexpected way; it goes on", self.address, exc_info=error)

    def _warn(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            _LOG.warning("%s", text)


def next_pause(pause: float, cost: float, *, is_new: bool) -> float:
    """Return for how long a mirror is left alone: longer and longer, and 20 times as long as a look. Pure.

    Args:
        pause: How long it was left alone before.
        cost: How long the look took, in seconds.
        is_new: Whether anything was new.
    """
    wait = LOOK_SECONDS if is_new else min(2 * pause, LONGEST_SECONDS)
    return max(wait, SHARE * cost)
