"""The drain's main loop: plan → claim → deliver → record, until nothing is left that can be done now.

The main thread owns the journal's outbox, and so all SQL; the senders' threads do HTTP. Finished attempts come back
through one queue and are recorded in batches, one transaction each.
"""

from __future__ import annotations

import logging
import math
import random
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from journal import Journal
from journal.clock import to_text
from journal.errors import JournalAway, JournalUnavailable
from journal.outbox import run_results
from journal.outbox.claims import HeldElsewhere
from journal.outbox.outbox import Outbox
from journal.outbox.run_results import Results
from uploader.delivery.completion import Completion
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.finished_attempts import FinishedAttempts
from uploader.delivery.journal_changes import rest_after
from uploader.delivery.journal_use import Using, journal_use
from uploader.delivery.known_models import KnownModels
from uploader.delivery.outages import PASSING, Outages
from uploader.delivery.outcomes import Outcomes
from uploader.delivery.presence import Presence
from uploader.delivery.progress import Progress, Silent
from uploader.delivery.progress_telling import ProgressTelling
from uploader.delivery.run_mirrors import RunMirrors
from uploader.delivery.sender import Sender
from uploader.delivery.sender_manager import SenderManager
from uploader.delivery.summary import NOTHING_LEFT, DestinationResult, Summary, summarize
from uploader.run_selection import choose_runs
from uploader.settings import Settings

if TYPE_CHECKING:
    from uploader.delivery.followed_mirrors import FollowedMirrors

TICK_SECONDS = 1.0
"""How often a drain that waits looks at the journal."""
WORTH_WAITING = 30.0
"""A drain that does not watch waits this many seconds at most for a delivery's backoff, or another's lease."""
GRACE_SECONDS = 5.0
"""How long attempts in flight may take after the drain was told to stop."""
FOLD_REST_SECONDS = 5.0
"""How long to wait before folding the log again when another process was in the way."""
ABORT_SECONDS = 0.5
"""How long uploads may take to notice that they have been aborted."""

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Drain:
    """Delivers what a journal holds. `run` once; `stop` may be called from a signal handler or another thread."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        settings: Settings,
        options: DrainOptions,
        *,
        progress: Progress | None = None,
        reread: Callable[[], Settings] | None = None,
        followed: FollowedMirrors | None = None,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            journal: Open; closed by the caller.
            outbox: Its outbox, which is the drain's alone; closed by the caller.
            settings: Key, default destination and default project.
            options: What a person asked for.
            progress: Hears how far it is.
            reread: Reads the settings again; a drain that watches does so while a platform does not let it in.
            followed: Mirrors whose runs, and no others, are delivered as they are taken into the journal.

        Raises:
            SettingsError: A chosen run is not in the journal, or `options.to` is no URL.
        """
        self._journal = journal.on_connection_of(outbox)
        self._outbox = outbox
        self._options = options
        self._progress = progress or Silent()
        self._stopping = Event()
        self._followed = followed
        self._run_ids = followed.runs if followed else choose_runs(outbox.routes.runs(), options.runs, self.journal)
        self._senders = SenderManager(
            outbox,
            journal.blobs,
            journal=journal,
            settings=settings,
            options=options,
            run_ids=self._run_ids,
            progress=self._progress,
            reread=reread,
        )
        does_all = options.until_done and followed is None
        using = Using(str(uuid.uuid4()), options, self._run_ids, settings.default_project, is_background=does_all)
        use = journal_use(self._journal, outbox, using)
        self._at_work, self._feed, self._maintenance = use.at_work, use.feed, use.maintenance
        self._outcomes = Outcomes(outbox, random.random, options.timing.first_wait, options.timing.reopen)
        self._mirrors = RunMirrors(journal.path)
        self._known_models = KnownModels(outbox, self._mirrors)
        self._next_look = self._next_renewal = self._next_fold = 0.0
        self._telling = ProgressTelling(self._journal, self._outcomes, self._progress, self._run_ids)
        self._deadline = math.inf
        self._outages = Outages(
            watch=options.watch,
            tick=TICK_SECONDS,
            is_stopping=self._stopping.is_set,
            wait=self._pause,
            random=random.random,
        )
        self._changes = journal.changes()
        self._attempts = FinishedAttempts(self._senders, self._outcomes, self._feed, self._changes, watch=options.watch)
        self._completion = Completion(
            self._is_training, take_in=self._maintenance.take_in_now, is_work_left=self._is_work_left
        )

    def stop(self) -> None:
        """Make `run` claim nothing more, finish the attempts in flight within seconds, and return."""
        self._stopping.set()
        self._senders.results.put(None)

    @property
    def runs(self) -> frozenset[str]:
        """The ids of the runs that it delivers, as far as the journal has them already."""
        every = self._run_ids
        return frozenset((run.id for run in self._outbox.routes.runs()) if every is None else every)

    @property
    def journal(self) -> Path:
        """The journal's folder; of a shared journal what stands for its URL, without a password."""
        return Path(self._journal.address)

    @property
    def registered(self) -> frozenset[str]:
        """Those of its runs that a platform has accepted."""
        targets = self._outbox.routes.targets(run_ids=self._run_ids)
        return frozenset(one.run.id for one in targets if one.state == "registered")

    def known(self, runs: Collection[str]) -> list[Results]:
        """Return what has become of some of its runs; it must not be running."""
        with self._outbox.begin(read_only=True) as connection:
            return [run_results.read(connection, run) for run in sorted(runs)]

    def learn(self, found: Iterable[Results]) -> None:
        """Have it take in, before it registers anything, what became of its runs elsewhere."""
        self._known_models.add(found)

    def run(self) -> Summary:
        """Deliver until nothing more can be done now, or as long as the options say.

        Raises:
            DrainLocked: Another drain works on this journal.
            SettingsError: A setting, such as the certificates to trust, cannot be used.
            NoKey: Runs go nowhere yet, and no key and no address says where they are to go.
            JournalError: The journal cannot be used any more. What was confirmed and not recorded is sent again.
        """
        began = time.monotonic()
        self._deadline = began + (math.inf if self._options.max_time is None else self._options.max_time)
        with self._at_work(self._may_wait) as held:
            try:
                self._prepare()
                self._deliver(held)
                self._finish()
            finally:
                self._close()
            summary = self._lasting(lambda: self._summary(time.monotonic() - began))
            if self._stopping.is_set():
                held.note_stop()
            self._unbind()
            return summary

    def _may_wait(self) -> bool:
        return self._options.watch and time.monotonic() < self._deadline and not self._stopping.wait(TICK_SECONDS)

    # --- before and after

    def _prepare(self) -> None:
        """Do what a drain begins with; one that watches tries again where another process or a full disk is in the way.

        Raises:
            JournalBusy: It does not watch.
            DiskFull: It does not watch.
            JournalAway: It does not watch, and has waited.
        """
        while not self._stopping.is_set():
            try:
                self._begin()
                return
            except PASSING as error:
                is_busy = not isinstance(error, JournalAway)
                if is_busy and (not self._options.watch or time.monotonic() >= self._deadline):
                    raise
                self._outages.wait_out(error)

    def _begin(self) -> None:
        self._maintenance.begin()
        self._look_around()

    def _unbind(self) -> None:
        """Leave runs where they were when the address of `--to` never answered as a platform: it may be mistyped."""
        with suppress(JournalUnavailable):
            if (bound := self._senders.unproven()) and self._outbox.routes.unbind(bound):
                _LOG.warning(
                    "%s never answered as a platform, so nothing is bound to it: check the address, and name it again.",
                    self._options.to,
                )

    def _finish(self) -> None:
        """Wait for the attempts in flight, then abort uploads; abandon what is left."""
        for sender in self._senders:
            self._outcomes.release(sender.withdraw())
        self._attempts.take_until_idle(GRACE_SECONDS)
        self._senders.abort.set()
        self._attempts.take_until_idle(ABORT_SECONDS)
        self._outcomes.abandon(self._senders.in_flight())
        self._lasting(self._write)

    def _lasting(self, work: Callable[[], T]) -> T:
        """Return what some work on the journal comes to, also if its server is away for a while."""
        while True:
            try:
                return work()
            except JournalAway as error:
                self._outages.wait_out(error)

    def _close(self) -> None:
        self._senders.close(ABORT_SECONDS)
        self._progress.close()
        self._mirrors.close()
        self._maintenance.end(self._delivered)

    def _summary(self, seconds: float) -> Summary:
        runs = [run for run in self._journal.report() if self._run_ids is None or run.id in self._run_ids]
        results = {
            (sender.destination.platform, sender.destination.base_url): self._result_of(sender)
            for sender in self._senders
        }
        nowhere = DestinationResult(closed=self._senders.nowhere)
        summary = summarize(runs, results, seconds=seconds, interrupted=self._stopping.is_set(), nowhere=nowhere)
        left = self._maintenance.left_beside(self._run_ids)
        return replace(summary, left_beside=left).refusing(self._known_models.conflicts)

    def _result_of(self, sender: Sender) -> DestinationResult:
        wait, held = self._outlook(sender)
        due = None if wait == math.inf else to_text(self._outbox.now() + timedelta(seconds=wait))
        return self._outcomes.of(sender, due, held)

    # --- the loop

    def _deliver(self, held: Presence) -> None:
        self._next_renewal = time.monotonic() + self._options.timing.renewal  # nothing was claimed yet
        self._next_fold = time.monotonic() + TICK_SECONDS
        while not self._stopping.is_set():
            try:
                if self._outages.was_away:
                    self._feed.let_go_of_unknown([*self._senders.in_flight(), *self._outcomes.unwritten])
                    self._outages.note_end()
                if not self._turn(held):
                    return
            except PASSING as error:
                self._outages.wait_out(error)

    def _turn(self, held: Presence) -> bool:
        """Record, start and await something once; return whether there is more to do."""
        self._write()
        self._start_more()
        seconds = self._patience()
        if seconds is None or self._is_done(held):
            return False
        self._attempts.collect(seconds)
        self._keep_up(held)
        if time.monotonic() >= self._telling.due:
            self._telling.tell(held)
        if self._options.watch:
            held.tell_warnings(self._senders.warnings)
        return True

    def _pause(self, seconds: float) -> None:
        """Wait, also for whoever has told it to stop."""
        time.sleep(seconds) if self._stopping.is_set() else self._stopping.wait(seconds)

    def _start_more(self) -> None:
        if self._options.watch:
            if time.monotonic() >= self._next_look:
                self._changes.note()
                self._look_around()
                self._senders.keep_alive()
            self._maintenance.take_in()
        self._feed.fill_all([*self._senders])

    def _look_around(self) -> None:
        began = time.monotonic()
        self._outbox.require_in_place()
        self._known_models.look(self._senders.look_around())
        self._next_look = (ended := time.monotonic()) + rest_after(began, ended)

    def _patience(self) -> float | None:
        """Return the seconds to wait for the next thing to happen; None when nothing is left to wait for."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return None
        if self._senders.are_busy:
            return min(TICK_SECONDS, left)
        if self._options.watch:
            return min(TICK_SECONDS, left)
        open_senders = [sender for sender in self._senders if sender.closed is None]
        if left == math.inf:
            open_senders = [sender for sender in open_senders if not sender.is_unreachable]
        wait = min((self._outlook(sender)[0] for sender in open_senders), default=math.inf)
        longest = WORTH_WAITING if left == math.inf else left
        if wait > longest:
            return None
        return max(min(wait, self._feed.news_within), self._options.timing.shortest_wait)

    def _is_done(self, held: Presence) -> bool:
        return self._options.until_done and not self._senders.in_flight() and self._completion.is_reached(held)

    def _is_training(self) -> bool:
        """Return whether more may be recorded: into the journal, or elsewhere into the mirrors that come in."""
        return self._outbox.is_training(self._outbox.now()) if self._followed is None else not self._followed.are_over

    def _is_work_left(self) -> bool:
        return any(one.state not in NOTHING_LEFT for one in self._summary(0.0).destinations)

    def _outlook(self, sender: Sender) -> tuple[float, tuple[HeldElsewhere, ...]]:
        """Return the seconds until something can be sent, and what others hold.

        It is 0 for now, and infinity when nothing is pending.
        """
        if sender.closed:
            return math.inf, ()
        outlook, now = self._feed.outlook(sender), self._outbox.now()
        waits = (max(sender.paused_for(lane), (at - now).total_seconds(), 0.0) for lane, at in outlook.due.items())
        return min(waits, default=math.inf), outlook.held

    def _write(self) -> None:
        settled = self._outcomes.write()
        if registered := {outcome.claim.run.id for outcome in settled if outcome.ids}:
            self._mirrors.tell(registered)
        self._progress.settled(len(settled))
        if settled:
            self._completion.note_arrival()
        for outcome in settled:
            if outcome.result == "delivered":
                self._progress.arrived(outcome.claim)
            elif outcome.result == "dead":
                self._progress.refused(outcome.claim, outcome.error or "")

    def _keep_up(self, held: Presence) -> None:
        """Do the periodic work: renew leases, fold the write-ahead log back."""
        if time.monotonic() >= self._next_renewal:
            self._feed.renew(self._senders.in_flight())
            held.renew()
            self._maintenance.mark_newest(self._delivered)
            self._next_renewal = time.monotonic() + self._options.timing.renewal
        if time.monotonic() >= self._next_fold:
            rest = TICK_SECONDS if self._maintenance.fold() else FOLD_REST_SECONDS
            self._next_fold = time.monotonic() + rest

    @property
    def _delivered(self) -> int:
        return sum(self._outcomes.delivered.values())
