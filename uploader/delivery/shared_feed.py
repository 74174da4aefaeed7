"""The feed of a drain that is one of many: it keeps to what others have claimed, and to pauses that they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from journal.clock import from_text
from journal.outbox.outbox import Outbox
from uploader.delivery.due_heads import DueHeads
from uploader.delivery.feed import Feed, Outlook
from uploader.delivery.sender import Sender
from uploader.delivery.shared_pauses import SharedPauses
from uploader.delivery.timing import Timing

NEWS_SECONDS = 1.0
"""How soon it matters what other drains do: they may deliver what is waited for, or renew their leases."""


class SharedFeed(Feed):
    """Keeps senders busy with deliveries of a shared journal. The drain's main thread owns it."""

    news_within = NEWS_SECONDS

    def __init__(
        self,
        outbox: Outbox,
        run_ids: Sequence[str] | None,
        pauses: SharedPauses,
        lease_seconds: float = Timing.lease,
        clock: Callable[[], float] = time.monotonic,
        *,
        default_project: str = "",
        drain: str,
    ) -> None:
        """Prepare; see `Feed`.

        Args:
            outbox: The journal's.
            run_ids: The chosen runs; None for all.
            pauses: What it tells the other drains, and hears of them.
            lease_seconds: How long a claim is ours without `renew`.
            clock: Seconds; never goes back.
            default_project: For runs that named none.
            drain: Tells this drain from others of the same process.
        """
        super().__init__(
            outbox, run_ids, lease_seconds, clock, default_project=default_project, owner_suffix=f" ({drain})"
        )
        self._pauses = pauses
        self._heads = DueHeads(outbox, clock)

    def fill_all(self, senders: Sequence[Sender]) -> None:
        """Have due heads told, and start as much as the senders have capacity for and nobody's pause forbids."""
        self._pauses.exchange(senders)
        self._heads.hand_over(senders)
        super().fill_all(senders)
        self._pauses.give_back(senders)

    def outlook(self, sender: Sender) -> Outlook:
        """Return what waits; what another drain has claimed is due when its lease runs out."""
        due = super().outlook(sender).due
        held = self._outbox.claims.held_elsewhere(
            sender.destination.id,
            owner=self._owner,
            now=self._outbox.now(),
            lease_seconds=self._lease_seconds,
            run_ids=self._run_ids,
        )
        for one in held:
            until = from_text(one.until)
            due[one.lane] = min(due.get(one.lane, until), until)
        return Outlook(due, tuple(held))

    def _is_copy(self) -> bool:
        """Return False: what others deliver may be newer than what was read of it here."""
        return False
