"""What differs for a drain that has its journal to itself, under the lock of its folder, and for one of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from journal import Journal
from journal.outbox.outbox import Outbox
from uploader.delivery.drain_lock import lock_when_free
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.feed import Feed
from uploader.delivery.journal_maintenance import JournalMaintenance, LockedMaintenance, SharedMaintenance
from uploader.delivery.presence import Presence, SharedPresence, present
from uploader.delivery.shared_feed import SharedFeed
from uploader.delivery.shared_pauses import SharedPauses


@dataclass(frozen=True)
class JournalUse:
    """How a drain uses its journal. It is chosen once, so the drain itself never asks.

    Attributes:
        feed: Plans and claims.
        maintenance: What it does for the journal besides delivering.
        at_work: Called with what waits a little and returns whether to try again, it provides what tells others of the
            drain for as long as it is at work.
    """

    feed: Feed
    maintenance: JournalMaintenance
    at_work: Callable[[Callable[[], bool]], AbstractContextManager[Presence]]


@dataclass(frozen=True)
class Using:
    """Who uses it.

    Attributes:
        drain: The drain's id, a uuid.
        options: What a person asked for.
        run_ids: The chosen runs; None for all.
        default_project: For runs that named none.
        is_background: Whether it does all the work of a journal, as one that a training started.
    """

    drain: str
    options: DrainOptions
    run_ids: list[str] | None
    default_project: str
    is_background: bool


def journal_use(journal: Journal, outbox: Outbox, using: Using) -> JournalUse:
    """Return how a drain uses its journal.

    Args:
        journal: The drain's, on the connection of its outbox.
        outbox: The drain's.
        using: The drain.
    """
    return (_one_of_many if journal.is_shared else _alone)(journal, outbox, using)


def _alone(journal: Journal, outbox: Outbox, using: Using) -> JournalUse:
    """Return how one drain does; another one, if it watches, waits for its end, unless it does the same work."""
    timing = using.options.timing
    return JournalUse(
        Feed(outbox, using.run_ids, timing.lease, default_project=using.default_project),
        LockedMaintenance(journal, outbox, timing.intake),
        partial(lock_when_free, journal.path, is_background=using.is_background, log=using.options.log),
    )


def _one_of_many(journal: Journal, outbox: Outbox, using: Using) -> JournalUse:
    """Return how each of many does, for which there is no lock."""
    timing, name = using.options.timing, using.drain[:8]
    pauses = SharedPauses(outbox, using.drain, timing.lease)
    return JournalUse(
        SharedFeed(outbox, using.run_ids, pauses, timing.lease, default_project=using.default_project, drain=name),
        SharedMaintenance(journal, outbox, timing.intake),
        partial(_among_others, outbox, using, pauses),
    )


@contextmanager
def _among_others(
    outbox: Outbox, using: Using, pauses: SharedPauses, may_wait: Callable[[], bool]
) -> Iterator[SharedPresence]:
    """Tell the others of a drain, and leave them to probe when it ends."""
    del may_wait  # for nobody
    told = present(outbox, using.drain, is_background=using.is_background, log=using.options.log)
    with told as presence, closing(pauses):
        yield presence
