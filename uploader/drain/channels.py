"""All destinations of one drain: opened as runs turn up that go there, watched and closed together."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Event

from journal.blobs import BlobStore
from journal.clock import utc_now
from journal.outbox import Outbox
from journal.records import Claim, Destination, Target
from uploader.addresses import shown
from uploader.drain import routing
from uploader.drain.channel import Channel, Supplies
from uploader.drain.courier import Finished
from uploader.drain.options import DrainOptions
from uploader.drain.progress import Progress
from uploader.errors import KeyNotForHere, NoAddress
from uploader.keys import named_too
from uploader.platforms.base import Identity
from uploader.platforms.registry import connect
from uploader.settings import Settings

_LOG = logging.getLogger("uploader")


class Channels:
    """A drain's destinations. The drain's main thread owns it.

    Attributes:
        results: Where finished attempts are put; None in it wakes the reader up.
        abort: Once set, uploads end where they are.
    """

    def __init__(
        self,
        outbox: Outbox,
        blobs: BlobStore,
        *,
        settings: Settings,
        options: DrainOptions,
        run_ids: Sequence[str] | None,
        progress: Progress,
    ) -> None:
        """Prepare; nothing is written or opened yet.

        Args:
            outbox: The journal's.
            blobs: Where checkpoints' bytes are.
            settings: Keys, default destinations and default project.
            options: What a person asked for.
            run_ids: The chosen runs; None for all.
            progress: Hears of uploads.

        Raises:
            SettingsError: `options.to` is no URL, or its platform is unknown.
        """
        named = settings if options.to is None else named_too(settings, options.platform, options.to)
        self.results: SimpleQueue[Finished | None] = SimpleQueue()
        self.abort = Event()
        self._outbox = outbox
        self._settings = named
        self._to = None if options.to is None else named.named[-1]
        self._run_ids = run_ids
        self._is_watching = options.watch
        self._channels: dict[int, Channel] = {}
        self._supplies = Supplies(
            connect=partial(
                connect,
                settings=named,
                connections=options.parallel + options.uploads,
                answer_seconds=options.pace.answer,
            ),
            blobs=blobs,
            default_project=settings.default_project,
            progress=progress,
            abort=self.abort,
            results=self.results,
            parallel=options.parallel,
            uploads=options.uploads,
            random=random.random,
            first_wait=options.pace.first_wait,
        )

    def __iter__(self) -> Iterator[Channel]:
        """Yield the channels."""
        return iter(self._channels.values())

    def look_around(self) -> None:
        """Route runs that go nowhere yet, and open a channel to each destination that is new.

        Raises:
            NoKey: Runs go nowhere yet, and no key and no address says where they are to go.
        """
        routing.route(self._outbox, self._run_ids, to=self._to, settings=self._settings)
        self._to = None
        for target in self._outbox.targets(run_ids=self._run_ids):
            if target.destination.id not in self._channels:
                self._channels[target.destination.id] = self._open(target.destination)

    def keep_alive(self) -> None:
        """Tell the platforms that want to know it which runs are being trained."""
        channels = [channel for channel in self if channel.has_pulse]
        live = self._outbox.live_runs(utc_now()) if channels else []
        chosen = [run for run in live if self._run_ids is None or run in self._run_ids]
        for channel in channels:
            targets = self._outbox.targets(destination_id=channel.destination.id, run_ids=chosen)
            channel.keep_alive([self._identity(target) for target in targets if target.state == "registered"])

    def finish(self, finished: Finished) -> None:
        """Take notice of an attempt that is over."""
        self._channels[finished.claim.destination_id].finish(finished)

    def held(self) -> list[Claim]:
        """Return the claims under way."""
        return [claim for channel in self for claim in channel.held.values()]

    @property
    def under_way(self) -> bool:
        """Whether anything is."""
        return any(channel.held for channel in self)

    @property
    def have_room(self) -> bool:
        """Whether more messages may be claimed for any."""
        return any(channel.room("message") for channel in self)

    @property
    def are_hopeless(self) -> bool:
        """Whether nothing can be sent before a person has done something, nor anything of runs that are still to come.

        An address that no key is for may have been left behind, or is to be named yet; new runs go to those that are
        configured.
        """
        reasons = [channel.closed for channel in self]
        if not reasons or None in reasons:
            return False
        return not self._settings.default_routes or not all(
            isinstance(one, (KeyNotForHere, NoAddress)) for one in reasons
        )

    def close(self, timeout: float) -> None:
        """End uploads where they are, and the threads within `timeout` seconds for each channel."""
        self.abort.set()
        for channel in self:
            channel.close(timeout)

    def _open(self, destination: Destination) -> Channel:
        channel = Channel(destination, self._supplies)
        if channel.closed and self._is_watching:  # else the summary tells it in a moment
            place = shown(destination.base_url) if destination.base_url else destination.platform
            _LOG.warning("%s: nothing is sent; %s", place, channel.closed)
        return channel

    def _identity(self, target: Target) -> Identity:
        run = target.run
        return Identity(run.id, run.project or self._settings.default_project, run.name, target.ids)
