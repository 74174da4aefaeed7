"""Brings sources into a shared journal: once, for so long, or as long as they grow, and again whenever that fails."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uploader.commands.collect_sources import Source
from uploader.errors import SettingsError

if TYPE_CHECKING:
    from journal.collecting.collecting import Collected
    from journal.folder import Journal

STEP_SECONDS = 1.0
"""How often a source that grows is looked at, at most."""
LOOK_SECONDS = 5.0
"""How often one is that has not changed, as far as is known."""
NOTICE_SECONDS = 0.1
"""How soon a change, or a signal, is noticed."""
LONGEST_PAUSE = 60.0
_LOG = logging.getLogger("uploader")


@dataclass(frozen=True)
class Way:
    """How long to go on.

    Attributes:
        watch: Until a signal comes.
        until_done: Until no training records any more, and all is brought.
        max_time: For so many seconds at most; without `watch`, what fails is tried again until then.
    """

    watch: bool = False
    until_done: bool = False
    max_time: float | None = None


class Bringing:
    """What became of one source.

    Attributes:
        source: The source.
        collected: What came in of it so far, all together; None before anything did.
        error: What was in the way the last time.
    """

    def __init__(self, source: Source) -> None:
        """Nothing did yet."""
        self.source = source
        self.collected: Collected | None = None
        self.error: Exception | None = None

    def add(self, came: Collected) -> None:
        """Add what a step came to."""
        self.error = None
        self.collected = came if self.collected is None else self.collected.plus(came)

    def put_off(self, error: Exception) -> None:
        """Note what was in the way of a step, and what came in before; the next one begins anew."""
        if came := self.source.broken_off():
            self.collected = came if self.collected is None else self.collected.plus(came)
        self.source.close()
        self.error = error


class Collector:
    """Brings sources into one shared journal. One thread owns it."""

    def __init__(
        self,
        sources: Sequence[Source],
        open_outbox: Callable[[], Journal],
        has_stopped: Callable[[], bool],
        tell: Callable[[Collection[str]], object] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Open nothing yet.

        Args:
            sources: What is brought.
            open_outbox: Opens the shared journal.
            has_stopped: Whether a person, or the system, wants the end.
            tell: Told what is in the way whenever that changes.
            clock: Seconds; never goes back.
            wait: Waits for so many seconds.
        """
        self.brought = [Bringing(source) for source in sources]
        self._open_outbox = open_outbox
        self._has_stopped = has_stopped
        self._tell = tell
        self._clock = clock
        self._wait = wait
        self._outbox: Journal | None = None
        self._said: frozenset[str] = frozenset()
        self._is_hopeless = False

    def run(self, way: Way) -> None:
        """Bring everything; what became of it is in `brought`."""
        ends_at = math.inf if way.max_time is None else self._clock() + way.max_time
        pause = STEP_SECONDS
        while True:
            is_last = not way.watch or self._is_time_up(ends_at)
            failed = self._step(self._due(way), is_last=is_last)
            if way.until_done and not failed and self._are_over():
                failed, is_last = self._step(self.brought, is_last=True), True
            gives_up = self._is_time_up(ends_at) or not (way.watch or way.max_time is not None)
            if self._is_hopeless or (is_last and (gives_up or not failed)):
                return
            self._say()
            pause = min(2 * pause, LONGEST_PAUSE) if failed else STEP_SECONDS
            self._rest(pause * random.uniform(0.5, 1.0) if failed else pause, ends_at, failed=failed)  # noqa: S311

    def close(self) -> None:
        """Let go of all."""
        for one in self.brought:
            one.source.close()
        if self._outbox is not None:
            self._outbox.close()

    def _is_time_up(self, ends_at: float) -> bool:
        return self._has_stopped() or self._clock() >= ends_at

    def _due(self, way: Way) -> Sequence[Bringing]:
        return [one for one in self.brought if way.watch or one.collected is None or one.error]

    def _step(self, chosen: Sequence[Bringing], *, is_last: bool) -> bool:
        """Bring sources; return whether that failed. While the server is away, none of the others is tried."""
        from journal.errors import JournalAway, JournalError

        away: JournalError | None = None
        for one in chosen:
            try:
                if away:
                    raise away
                one.add(one.source.step(self._open(), is_last=is_last))
            except (JournalError, SettingsError) as error:
                away = error if isinstance(error, JournalAway) else None
                one.put_off(error)
        return any(one.error for one in self.brought)

    def _open(self) -> Journal:
        """Return the shared journal; note if it cannot be opened until a person does something here."""
        from journal.errors import LibraryMissing

        try:
            self._outbox = self._outbox or self._open_outbox()
        except (LibraryMissing, SettingsError):
            self._is_hopeless = True
            raise
        return self._outbox

    def _say(self) -> None:
        """Say what is in the way, once, and when that is over."""
        errors = frozenset(str(one.error) for one in self.brought if one.error)
        for why in sorted(errors - self._said):
            _LOG.warning("Not everything is brought in for now, and it is tried again: %s", why)
        if self._said and not errors:
            _LOG.warning("Everything is brought in again.")
        if self._tell and errors != self._said:
            self._tell(errors)
        self._said = errors

    def _are_over(self) -> bool:
        return all(one.source.is_over() for one in self.brought)

    def _rest(self, pause: float, ends_at: float, *, failed: bool) -> None:
        """Wait for the next step: until something changes, or for so long."""
        began = self._clock()
        longest = pause if failed else LOOK_SECONDS
        while not self._has_stopped() and self._clock() < min(began + longest, ends_at):
            if not failed and self._clock() >= began + pause and any(one.source.has_changed() for one in self.brought):
                return
            self._wait(NOTICE_SECONDS)
