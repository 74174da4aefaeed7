"""The mirrors of a journal's runs, as a drain uses them: machines tell each other there which models runs have become.

Without that, a machine that drains the mirror after this one was lost makes a second model of each run, and so does
this one after another has drained the mirror, as platforms need not know a registration that is repeated. A mirror may
hang, and delivery must not: each is used in a thread, which is waited for a little, and not at all while it hangs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from threading import Event, Thread

from journal.errors import JournalError
from journal.mirror.handing_over import hand_over_all, hand_over_results, mirrors_of
from journal.mirror.mirror_addresses import open_mirror
from journal.mirror.restoring import read_all_results
from journal.opening import open_journal
from journal.outbox.run_results import Results
from journal.quantities import count

PATIENCE_SECONDS = 10.0
"""How long a drain waits for a mirror at most."""

LAST_PATIENCE_SECONDS = 60.0
"""How long it waits at its end for a mirror that takes nothing more."""

ASK_SECONDS = 60.0
"""How often a mirror is asked about a run that a platform has not accepted yet."""
_HANGS = "it does not answer"
_LOG = logging.getLogger("uploader")


class RunMirrors:
    """The mirrors of one journal's runs. The drain's main thread owns it.

    Attributes:
        patience: How many seconds a mirror is waited for.
    """

    def __init__(
        self, journal: Path, patience: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Use none yet.

        Args:
            journal: The journal's folder.
            patience: How many seconds a mirror is waited for.
            clock: Seconds; never goes back.
        """
        self._journal = journal
        self._clock = clock
        self.patience = patience
        self._threads: dict[str, Thread] = {}
        self._warned: set[str] = set()
        self._asked: dict[str, float] = {}

    def tell(self, runs: Collection[str]) -> None:
        """Tell the mirrors of runs that were just registered which models these are, before more is sent.

        What a mirror does not learn now is handed over when the drain ends.
        """
        for address, own in mirrors_of(self._journal, runs).items():
            if error := self._use(address, partial(self._hand_over, address, own)):
                self._warn(
                    f"The mirror {address} was not told what the platform calls {count(len(own), 'run')} ({error}). "
                    "It is told when this drain ends; until then, a drain of that mirror on another machine would make "
                    "a second model."
                )

    def ask(self, runs: Collection[str]) -> list[Results]:
        """Return what became of runs elsewhere, as far as their mirrors know; do so before they are registered here.

        A mirror that cannot be read delays that, and does not prevent it: the drive may be gone for good.

        Args:
            runs: Those that no platform has accepted from here yet. Each is asked for once a minute at most.
        """
        now = self._clock()
        due = {run for run in runs if self._asked.get(run, -math.inf) <= now - ASK_SECONDS}
        self._asked |= dict.fromkeys(due, now)
        found: list[Results] = []
        for address, own in mirrors_of(self._journal, due).items() if due else ():
            if error := self._use(address, partial(_read, address, own, found)):
                self._warn(
                    f"The mirror {address} cannot be asked what became of {count(len(own), 'run')} ({error}). If "
                    "another machine has drained it, the platform gets a second model from here: to keep it from that, "
                    "stop this drain, make the mirror reachable and drain again."
                )
        return list(found)

    def tell_all(self, runs: Collection[str], *, is_hurried: bool = False) -> None:
        """Hand over all of some runs to their mirrors, so that nothing is sent again after a loss; a drain's last step.

        It may take as long as something is still handed over; a mirror that hangs is left.

        Args:
            runs: Uuids of the runs.
            is_hurried: Whether a person waits for the end.
        """
        patience = PATIENCE_SECONDS if is_hurried else LAST_PATIENCE_SECONDS
        begun = [_HandOver(self._journal, address, own) for address, own in mirrors_of(self._journal, runs).items()]
        for one in begun:
            if error := one.wait(patience):
                self._warn(f"The mirror {one.address} was not told all that has arrived: {error}")

    def close(self) -> None:
        """End; a mirror that hangs is waited for a last time."""
        for thread in self._threads.values():
            thread.join(self.patience)

    def _hand_over(self, address: str, runs: Collection[str]) -> None:
        with open_journal(self._journal) as journal:
            hand_over_results(journal, address, runs)

    def _use(self, address: str, work: Callable[[], None]) -> str | None:
        """Use a mirror for a bounded time; return what is in the way."""
        before = self._threads.get(address)
        if before and before.is_alive():
            return _HANGS
        errors: list[str] = []
        self._threads[address] = Thread(target=_noting, args=(work, errors), name="drain-mirror", daemon=True)
        self._threads[address].start()
        self._threads[address].join(self.patience)
        return _HANGS if self._threads[address].is_alive() else "".join(errors) or None

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _LOG.warning("%s", text)


class _HandOver:
    """Hands all of some runs over to one mirror, in a thread of its own."""

    def __init__(self, journal: Path, address: str, runs: Collection[str]) -> None:
        self.address = address
        self._journal = journal
        self._runs = runs
        self._errors: list[str] = []
        self._has_moved = Event()
        self._is_over = False
        Thread(target=self._work, name="drain-hand-over", daemon=True).start()

    def wait(self, seconds: float) -> str | None:
        """Wait for the end, as long as something happens within so many seconds; return what is in the way."""
        while not self._is_over:
            self._has_moved.clear()
            if not self._is_over and not self._has_moved.wait(seconds):
                return _HANGS
        return "".join(self._errors) or None

    def _work(self) -> None:
        try:
            _noting(self._hand_over, self._errors)
        finally:
            self._is_over = True
            self._has_moved.set()

    def _hand_over(self) -> None:
        with open_journal(self._journal) as journal:
            hand_over_all(journal, self.address, self._runs, self._has_moved.set)


def _read(address: str, runs: Collection[str], found: list[Results]) -> None:
    results, damaged = read_all_results(open_mirror(address), runs)
    found += results
    for what in damaged.values():
        _LOG.warning("Of the mirror %s: %s", address, what)


def _noting(work: Callable[[], None], errors: list[str]) -> None:
    try:
        work()
    except JournalError as error:
        errors.append(str(error))
