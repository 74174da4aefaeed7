"""The senders of one drain, one for each destination: opened when a run goes there, and closed together."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

from journal.checkpoints.blob_access import Blobs
from journal.outbox.outbox import Outbox
from journal.records import Claim, Destination, Target
from uploader.addresses import shown
from uploader.connecting import connect
from uploader.delivery import run_routing
from uploader.delivery.attempt import Finished
from uploader.delivery.concurrency import MOST_WIDTH
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.progress import Progress
from uploader.delivery.sender import Sender, SenderContext
from uploader.errors import NoKey
from uploader.keys import missing_key, named_too
from uploader.platforms.base import Platform, Receipt, RunIdentity
from uploader.settings import Settings

if TYPE_CHECKING:
    from journal import Journal
    from uploader.delivery.obstacle_notes import ObstacleNotes

_LOG = logging.getLogger("uploader")


class SenderManager:
    """A drain's senders. The drain's main thread owns them.

    Attributes:
        results: Where finished attempts are put; None in it wakes the reader up.
        abort: Once set, uploads end where they are.
    """

    def __init__(
        self,
        outbox: Outbox,
        blobs: Blobs,
        *,
        journal: Journal,
        settings: Settings,
        options: DrainOptions,
        run_ids: Sequence[str] | None,
        progress: Progress,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        """Prepare; nothing is written or opened yet.

        Args:
            outbox: The journal's.
            blobs: Where checkpoints' bytes are.
            journal: The journal.
            settings: Keys, default destinations and default project.
            options: What a person asked for.
            run_ids: The chosen runs; None for all.
            progress: Hears of uploads.
            reread: Reads the settings again, for a drain that watches; None where they cannot change.

        Raises:
            SettingsError: `options.to` is no URL, or its platform is unknown.
        """
        self._options = options
        self._reread = reread or (lambda: settings)
        self._read = settings
        named = self._named(settings)
        self.results: SimpleQueue[Finished | None] = SimpleQueue()
        self.abort = Event()
        self._outbox = outbox
        self._settings = named
        self._to = None if options.to is None else named.named[-1]
        self._run_ids = run_ids
        self._senders: dict[int, Sender] = {}
        self._warned: dict[int | None, str] = {}
        self._next_reread = self._next_reopening = 0.0
        self._obstacles: ObstacleNotes | None = None
        self._bound: list[tuple[str, int]] = []
        self._context = self._shared(blobs, journal, settings.default_project, progress)

    def _shared(self, blobs: Blobs, journal: Journal, default_project: str, progress: Progress) -> SenderContext:
        options = self._options
        return SenderContext(
            connect=self._connect,
            blobs=blobs,
            journal=journal,
            default_project=default_project,
            progress=progress,
            abort=self.abort,
            results=self.results,
            parallel=options.parallel,
            uploads=options.uploads,
            random=random.random,
            first_wait=options.timing.first_wait,
        )

    def __iter__(self) -> Iterator[Sender]:
        """Yield the senders."""
        return iter(self._senders.values())

    def look_around(self) -> Sequence[Target]:
        """Route runs that go nowhere yet, and open a sender to each destination that is new.

        Returns:
            Where the runs go.

        Raises:
            NoKey: Runs go nowhere yet, and no key and no address says where they are to go. A drain that watches says
                so, and goes on: the key may come.
        """
        if self._options.watch:
            self._look_at_settings()
        is_routed = self._route()
        targets = self._outbox.routes.targets(run_ids=self._run_ids)
        for target in targets:
            if target.destination.id not in self._senders:
                self._senders[target.destination.id] = self._open(target.destination)
        if self._options.watch:
            self._tell_of_missing_key(is_known=is_routed and bool(self._senders))
            self._note_obstacles()
        return targets

    def _route(self) -> bool:
        """Give every run a destination; return False where a drain that watches could not."""
        try:
            self._bound += run_routing.route(self._outbox, self._run_ids, to=self._to, settings=self._settings)
        except NoKey:
            if not self._options.watch:
                raise
            return False
        finally:
            self._to = None
        return True

    def _tell_of_missing_key(self, *, is_known: bool) -> None:
        """Say that nothing is sent, or that nothing will be of what is recorded from now on, before that is too late.

        Args:
            is_known: Whether all goes somewhere; then the senders say what is missing there.
        """
        if is_known or self.nowhere is None:
            self._warned.pop(None, None)
        else:
            self._say(None, f"Nothing is sent: {self.nowhere} ({self._waits})")

    @property
    def nowhere(self) -> NoKey | None:
        """Why what is recorded now would not be sent, else None."""
        return missing_key(self._settings)

    def _look_at_settings(self) -> None:
        """Read the settings again while a platform refuses us, and reopen the senders that may be let in now."""
        now = time.monotonic()
        if now < self._next_reread or not (self._limited() or None in self._warned):
            return
        self._next_reread = now + self._options.timing.reread
        fresh = self._reread()
        if fresh == self._read and now < self._next_reopening:
            return
        if fresh != self._read:
            _LOG.warning("The settings have changed; what waits is tried with them.")
        self._next_reopening = now + self._options.timing.reopen
        self._read, self._settings = fresh, self._named(fresh)
        for sender in self._limited():
            sender.close(0.0)
            self._senders[sender.destination.id] = self._open(sender.destination)

    def _limited(self) -> list[Sender]:
        """Return the senders that may not send everything and have nothing in flight."""
        return [sender for sender in self if (sender.closed or sender.unread) and not sender.in_flight]

    def unproven(self) -> list[tuple[str, int]]:
        """Return what this drain has bound to addresses that never answered as a platform: runs, and destinations.

        It excludes runs that are also bound to a proven destination: no later drain would add this one again.
        """
        proven = {sender.destination.id for sender in self if sender.is_proven}
        kept = {run_id for run_id, destination_id in self._bound if destination_id in proven}
        return [each for each in self._bound if each[0] not in kept and each[1] not in proven]

    def keep_alive(self) -> None:
        """Tell the platforms that take heartbeats which runs are being trained."""
        senders = [sender for sender in self if sender.wants_heartbeats]
        live = self._outbox.live_runs(self._outbox.now()) if senders else []
        chosen = [run for run in live if self._run_ids is None or run in self._run_ids]
        for sender in senders:
            targets = self._outbox.routes.targets(destination_id=sender.destination.id, run_ids=chosen)
            sender.keep_alive([self._identity(target) for target in targets if target.state == "registered"])

    def finish(self, finished: Finished) -> None:
        """Note the result of an attempt."""
        sender = self._senders[finished.claim.destination_id]
        sender.finish(finished)
        self._tell(sender)
        if isinstance(finished.result, Receipt):
            self._tell_of_recovery(sender)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is in the way now, as a drain that watches has warned of it."""
        return tuple(self._warned.values())

    def in_flight(self) -> list[Claim]:
        """Return the claims under way."""
        return [claim for sender in self for claim in sender.in_flight.values()]

    @property
    def are_busy(self) -> bool:
        """Whether any attempt is in flight."""
        return any(sender.in_flight for sender in self)

    def withdraw_paused(self) -> list[Claim]:
        """Withdraw the claims that no thread has begun where nothing may be sent at this moment."""
        return [claim for sender in self if sender.in_flight and sender.paused for claim in sender.withdraw()]

    def close(self, timeout: float) -> None:
        """End uploads where they are, and the threads within `timeout` seconds for each sender."""
        self.abort.set()
        self._note_obstacles()
        for sender in self:
            sender.close(timeout)

    def _note_obstacles(self) -> None:
        """Leave in the journal what is in the way, so that whoever asks for its state is told, also later."""
        if held_up := [sender for sender in self if sender.is_held_up]:
            from uploader.delivery.obstacle_notes import ObstacleNotes  # nothing is, in most drains

            self._obstacles = self._obstacles or ObstacleNotes(self._outbox)
            self._obstacles.note(held_up)

    def _open(self, destination: Destination) -> Sender:
        sender = Sender(destination, self._context)
        self._tell(sender)
        return sender

    def _tell(self, sender: Sender) -> None:
        """Say at once why nothing is sent, if this drain watches; any other one says it in its summary."""
        if not self._options.watch:
            return
        refused = sender.refused
        if (reason := refused or sender.unread) is not None:
            url = sender.destination.base_url
            place = shown(url) if url else sender.destination.platform
            what = "nothing is sent" if refused else "not everything is sent"
            self._say(sender.destination.id, f"{place}: {what}; {reason} ({self._waits})")
        elif sender.error and sender.destination.id not in self._warned:  # its words may change each time
            place = shown(sender.destination.base_url)
            self._say(sender.destination.id, f"{place}: not everything arrives; {sender.error} (it is tried again)")

    def _tell_of_recovery(self, sender: Sender) -> None:
        """Say that what was in the way no longer is."""
        if sender.destination.id not in self._warned:
            return
        if not (sender.refused or sender.unread or sender.error):
            del self._warned[sender.destination.id]
            _LOG.warning("%s: what waits is sent again", shown(sender.destination.base_url))

    @property
    def _waits(self) -> str:
        return f"it waits, and looks for another key every {self._options.timing.reread:g} s"

    def _say(self, about: int | None, text: str) -> None:
        """Warn, but do not repeat the last warning about the same destination."""
        if self._warned.get(about) != text:
            self._warned[about] = text
            _LOG.warning("%s", text)

    def _named(self, settings: Settings) -> Settings:
        """Return the settings with the address of `--to` added."""
        options = self._options
        return settings if options.to is None else named_too(settings, options.platform, options.to)

    def _connect(self, platform: str, base_url: str) -> Platform:
        options = self._options
        connections = (options.parallel or MOST_WIDTH) + options.uploads
        return connect(
            platform, base_url, self._settings, connections=connections, answer_seconds=options.timing.answer
        )

    def _identity(self, target: Target) -> RunIdentity:
        run = target.run
        return RunIdentity(run.id, run.project or self._settings.default_project, run.name, target.ids)
