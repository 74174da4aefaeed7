"""Telling one destination the heads of runs, at milestones: beside delivery, which never waits for it.

It is neither retried for long nor counted: a run has arrived without it. What this drain does not come to, the next one
does that has a head to tell. What a platform refuses is said once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from functools import partial
from itertools import takewhile
from queue import SimpleQueue

from journal.errors import JournalError
from journal.folder import Journal
from journal.outbox.head_notes import due, is_first, note_due, note_told
from journal.outbox.targets import targets
from journal.records import Target
from uploader.addresses import shown
from uploader.delivery.head_sources import HeadSource
from uploader.errors import DeliveryError
from uploader.platforms.base import KeepingHeads, KeptHeads, RunIdentity
from uploader.proving.telling_heads import tell_heads

_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_LOG = logging.getLogger("uploader")


class HeadSending:
    """The heads of runs for one destination, told by a thread of its own."""

    def __init__(self, platform: KeepingHeads, destination: int, source: HeadSource, default_project: str) -> None:
        """Start the thread.

        Args:
            platform: The client.
            destination: Its local id.
            source: Where the heads come from.
            default_project: For runs that named none.
        """
        self._platform = platform
        self._destination = destination
        self._source = source
        self._default_project = default_project
        self._ending = threading.Event()
        self._jobs: SimpleQueue[str | None] = SimpleQueue()
        # A daemon: a request that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"drain-{destination}-heads", daemon=True)
        self._thread.start()

    def note(self, run: str) -> None:
        """Have the heads of a run told."""
        self._jobs.put(run)

    def close(self, timeout: float) -> None:
        """Tell what was noted, and end the thread, or leave it behind after `timeout` seconds."""
        self._jobs.put(None)
        self._ending.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            jobs = [self._jobs.get()]
            while not self._jobs.empty():
                jobs.append(self._jobs.get())
            is_over = None in jobs
            self._tell_all(dict.fromkeys(job for job in jobs if job is not None))

    def _tell_all(self, runs: Iterable[str]) -> None:
        """Tell the heads of these runs, and of those that no drain has come to; stop at a platform that takes none."""
        try:
            with self._source.opened() as journal:
                noted = self._noted(journal, runs)
                told = takewhile(partial(self._tell_again, journal), noted)
                since = {run: noted[run] for run in told}
                with journal.begin(concurrent=True) as connection:
                    note_told(connection, since, self._destination)
        except (JournalError, OSError) as error:
            _LOG.debug("heads were not told: %s", error)

    def _noted(self, journal: Journal, runs: Iterable[str]) -> dict[str, str]:
        """Note that these runs are due; return what is due, these before what is so since another drain."""
        noted = list(runs)
        with journal.begin(concurrent=True) as connection:
            note_due(connection, noted, self._destination)
            found = due(connection, self._destination)
        # Another drain of a shared journal may have told some of them meanwhile.
        return {run: found[run] for run in dict.fromkeys([*noted, *found]) if run in found}

    def _tell_again(self, journal: Journal, run: str) -> bool:
        for _ in range(_ATTEMPTS):
            try:
                self._tell(journal, run)
                return True
            except (DeliveryError, JournalError, OSError) as error:
                _LOG.debug("the heads of run %s were not told: %s", run, error)
            except Exception:  # noqa: BLE001  one bad run harms only itself
                _LOG.exception("telling the heads of run %s failed in an unexpected way", run)
                return True
            self._ending.wait(_PAUSE_SECONDS)
        return False

    def _tell(self, journal: Journal, run: str) -> None:
        with journal.begin(read_only=True) as connection:
            found = targets(connection, [run], destination_id=self._destination)
        for target in found:
            one = target.run
            identity = RunIdentity(one.id, one.project or self._default_project, one.name, target.ids)
            if (heads := self._source.heads(journal, run)) is not None:
                self._say(journal, target, tell_heads(journal, self._destination, self._platform, identity, heads))

    def _say(self, journal: Journal, target: Target, kept: KeptHeads) -> None:
        """Say what a platform did not take: once if it keeps no heads, each time if it has seen other events."""
        place = shown(target.destination.base_url)
        for why in kept.contradicted:
            _LOG.warning("%s does not countersign run %s (%s): %s", place, target.run.name, target.run.id, why)
        if kept.refused and self._is_first(journal, f"refused by {self._destination}"):
            _LOG.warning("%s does not keep the heads of runs, by which they are proven: %s", place, kept.refused)

    def _is_first(self, journal: Journal, what: str) -> bool:
        with journal.begin(concurrent=True) as connection:
            return is_first(connection, what)
