"""The drain's main loop: plan → claim → deliver → record, until nothing more can be done now.

The main thread owns the journal's outbox, and so all SQL; the channels' threads do HTTP. Finished attempts come back
through one queue and are recorded in batches, one transaction each.
"""

from __future__ import annotations

import logging
import math
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event

from journal import Journal
from journal.clock import to_text, utc_now
from journal.errors import JournalBusy, JournalUnavailable
from journal.outbox import Outbox
from journal.records import Target
from uploader.drain import routing
from uploader.drain.books import Books
from uploader.drain.channel import Channel, Supplies
from uploader.drain.courier import Finished
from uploader.drain.feeder import Feeder
from uploader.drain.lock import drain_lock
from uploader.drain.pace import Pace
from uploader.drain.progress import Progress, Silent
from uploader.drain.summary import Ending, Summary, summarize
from uploader.platforms.base import Identity
from uploader.platforms.registry import connect
from uploader.settings import Settings

TICK_SECONDS = 1.0
"""How often a drain that waits looks at the journal."""
GATHER_SECONDS = 0.02
"""How long finished attempts are gathered before they are recorded together."""
WORTH_WAITING = 30.0
"""A drain that is to end some time waits so many seconds for what backs off."""
GRACE_SECONDS = 5.0
"""How long what is under way may take after the drain was told to stop."""
ABORT_SECONDS = 0.5
"""How long uploads may take to notice that they are to end."""
LARGE_WAL = 16 * 1024 * 1024
"""Bytes of write-ahead log from which it is folded back."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DrainOptions:
    """What a person asked for.

    Attributes:
        runs: Ids or beginnings of ids of the runs to deliver; empty for all.
        to: Base URL of one more destination for them, or None.
        watch: Go on for ever, also with what is recorded meanwhile.
        max_time: Go on trying for so many seconds; None ends when nothing more can be done now.
        parallel: How many messages at once, for each destination.
        uploads: How many uploads at once, for each destination.
        pace: How long to wait for what.
    """

    runs: tuple[str, ...] = ()
    to: str | None = None
    watch: bool = False
    max_time: float | None = None
    parallel: int = 16
    uploads: int = 2
    pace: Pace = field(default_factory=Pace)


class Drain:
    """Delivers what a journal holds. `run` once; `stop` may be called from a signal handler or another thread."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        settings: Settings,
        options: DrainOptions,
        progress: Progress | None = None,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            journal: Open; closed by the caller.
            outbox: Its outbox, which is the drain's alone; closed by the caller.
            settings: Key, default destination and default project.
            options: What a person asked for.
            progress: Hears how far it is.

        Raises:
            SettingsError: A chosen run is not in the journal.
        """
        self._journal = journal
        self._outbox = outbox
        self._settings = settings
        self._options = options
        self._progress = progress or Silent()
        self._results: SimpleQueue[Finished | None] = SimpleQueue()
        self._stopping = Event()
        self._abort = Event()
        self._run_ids = routing.choose_runs(outbox.runs(), options.runs)
        self._feeder = Feeder(outbox, self._run_ids, options.pace.lease)
        self._books = Books(outbox, random.random, options.pace.first_wait)
        self._channels: dict[int, Channel] = {}
        self._next_look = self._next_renewal = 0.0
        self._deadline = math.inf

    def stop(self) -> None:
        """Have `run` claim nothing more, finish what is under way within seconds, and return."""
        self._stopping.set()
        self._results.put(None)

    def run(self) -> Summary:
        """Deliver until nothing more can be done now, or as long as the options say.

        Raises:
            DrainLocked: Another drain works on this journal.
            SettingsError: `to` is no URL.
            CredentialsRefused: Runs go nowhere yet, and no key and no address says where they are to go.
            JournalError: The journal cannot be used any more. What was confirmed and not recorded is sent again.
        """
        began = time.monotonic()
        self._deadline = began + (math.inf if self._options.max_time is None else self._options.max_time)
        with drain_lock(self._journal.path):
            try:
                self._prepare()
                self._deliver()
                self._finish()
            finally:
                self._close()
            return self._summary(time.monotonic() - began)

    # --- before and after

    def _prepare(self) -> None:
        self._journal.ingest_fallbacks()
        self._journal.salvage()
        self._outbox.reclaim()  # what a killed drain held: we have the lock, so it is gone
        self._outbox.make_due(utc_now())  # who starts a drain does not want to wait for the last one's backoff
        self._look_around(self._options.to)

    def _finish(self) -> None:
        """Wait for what is under way, then for uploads to notice that they are to end; give the rest up."""
        for channel in self._channels.values():
            self._books.release(channel.withdraw())
        self._take_until_idle(GRACE_SECONDS)
        self._abort.set()
        self._take_until_idle(ABORT_SECONDS)
        for channel in self._channels.values():
            self._books.abandon(channel.held.values())
        self._write()

    def _close(self) -> None:
        self._abort.set()
        for channel in self._channels.values():
            channel.close(ABORT_SECONDS)
        self._progress.close()
        with suppress(JournalUnavailable):
            self._outbox.fold_wal()

    def _summary(self, seconds: float) -> Summary:
        runs = [run for run in self._journal.report() if self._run_ids is None or run.id in self._run_ids]
        endings = {
            (channel.destination.platform, channel.destination.base_url): self._ending(channel)
            for channel in self._channels.values()
        }
        return summarize(runs, endings, seconds=seconds, interrupted=self._stopping.is_set())

    def _ending(self, channel: Channel) -> Ending:
        wait = self._wait_for(channel)
        due = None if wait == math.inf else to_text(utc_now() + timedelta(seconds=wait))
        delivered = self._books.delivered[channel.destination.id]
        return Ending(delivered, channel.closed, channel.error, channel.given_up, due)

    # --- the loop

    def _deliver(self) -> None:
        while not self._stopping.is_set():
            try:
                self._write()
                self._feed()
                seconds = self._patience()
                if seconds is None:
                    return
                self._collect(seconds)
                self._keep_up()
            except JournalBusy as error:
                _LOG.warning("%s", error)
                self._stopping.wait(TICK_SECONDS)

    def _feed(self) -> None:
        if self._options.watch and time.monotonic() >= self._next_look:
            self._look_around()
            self._keep_alive()
        for channel in self._channels.values():
            self._feeder.feed(channel)

    def _look_around(self, to: str | None = None) -> None:
        """Route runs that go nowhere yet, and open a channel to each destination that is new."""
        routing.route(self._outbox, self._run_ids, to=to, defaults=self._settings.default_routes)
        for target in self._outbox.targets(run_ids=self._run_ids):
            if target.destination.id not in self._channels:
                self._channels[target.destination.id] = Channel(target.destination, self._supplies())
        self._next_look = time.monotonic() + TICK_SECONDS

    def _keep_alive(self) -> None:
        """Tell the platforms that want to know it which runs are being trained."""
        channels = [channel for channel in self._channels.values() if channel.has_pulse]
        live = self._outbox.live_runs(utc_now()) if channels else []
        chosen = [run for run in live if self._run_ids is None or run in self._run_ids]
        for channel in channels:
            targets = self._outbox.targets(destination_id=channel.destination.id, run_ids=chosen)
            channel.keep_alive([self._identity(target) for target in targets if target.state == "registered"])

    def _identity(self, target: Target) -> Identity:
        run = target.run
        return Identity(run.id, run.project or self._settings.default_project, run.name, target.ids)

    def _supplies(self) -> Supplies:
        connections = self._options.parallel + self._options.uploads
        return Supplies(
            connect=partial(
                connect, settings=self._settings, connections=connections, answer_seconds=self._options.pace.answer
            ),
            blobs=self._journal.blobs,
            default_project=self._settings.default_project,
            progress=self._progress,
            abort=self._abort,
            results=self._results,
            parallel=self._options.parallel,
            uploads=self._options.uploads,
            random=random.random,
            first_wait=self._options.pace.first_wait,
        )

    def _patience(self) -> float | None:
        """Return the seconds to wait for the next thing to happen; None when this drain is to end."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return None
        if self._under_way():
            return min(TICK_SECONDS, left)
        open_channels = [channel for channel in self._channels.values() if channel.closed is None]
        if self._options.watch:
            return min(TICK_SECONDS, left) if open_channels or not self._channels else None
        if left == math.inf:
            open_channels = [channel for channel in open_channels if not channel.given_up]
        wait = min((self._wait_for(channel) for channel in open_channels), default=math.inf)
        longest = WORTH_WAITING if left == math.inf else left
        return None if wait > longest else max(wait, self._options.pace.shortest_wait)

    def _wait_for(self, channel: Channel) -> float:
        """Return the seconds until something can be sent, 0 for now, infinity when nothing waits to be."""
        due = None if channel.closed else self._feeder.next_due(channel)
        if due is None:
            return math.inf
        return max(channel.paused_for(), (due - utc_now()).total_seconds(), 0.0)

    def _collect(self, seconds: float) -> None:
        """Take what is finished, and gather a little more of it to be recorded together."""
        self._take(seconds)
        gather_until = time.monotonic() + GATHER_SECONDS
        while self._under_way() and not self._has_room() and (left := gather_until - time.monotonic()) > 0:
            self._take(left)
        for channel in self._channels.values():
            if channel.paused:
                self._books.release(channel.withdraw())

    def _take(self, seconds: float) -> None:
        try:
            finished = self._results.get(timeout=seconds)
        except Empty:
            return
        if finished is not None:
            self._channels[finished.claim.destination_id].finish(finished)
            self._books.enter(finished)

    def _take_until_idle(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._under_way() and (left := until - time.monotonic()) > 0:
            self._take(left)

    def _write(self) -> None:
        self._progress.settled(self._books.write())

    def _keep_up(self) -> None:
        """Do what has to be done now and then: renew leases, fold the write-ahead log back."""
        if time.monotonic() >= self._next_renewal:
            self._feeder.renew([claim for channel in self._channels.values() for claim in channel.held.values()])
            self._next_renewal = time.monotonic() + self._options.pace.renewal
        if self._journal.wal_bytes() > LARGE_WAL:
            self._outbox.fold_wal()

    def _under_way(self) -> bool:
        return any(channel.held for channel in self._channels.values())

    def _has_room(self) -> bool:
        return any(channel.room("message") for channel in self._channels.values())
