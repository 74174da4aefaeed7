"""Which journal a training is recorded into, and where its runs go."""

from __future__ import annotations

from dataclasses import dataclass, field

from journal.locations import DEFAULT_MAX_SIZE, chosen_shared, default_max_wait
from journal.shared_addresses import without_password
from journal.storage.database import Durability


@dataclass(frozen=True)
class JournalOptions:
    """Which journal, and where its runs go; holds no secret and can be pickled to other processes.

    Attributes:
        journal: The folder; None for the default.
        into: The shared journal that its events are brought into, without a password; None for none. See `shared`.
        durability: `strict` and `full` survive a power cut, `process` a killed process; see `max_wait`.
        routes: Platform name and base URL of each destination. An empty URL leaves the address, and no route at all the
            whole choice, to the first drain.
        max_size: Size in bytes from which the journal evicts what it may; see `journal.retention.eviction`.
        mirror: Address of the mirror that the training's run is mirrored to; None for none.
        max_wait: Seconds that `full` waits for an event's flush at most; it is flushed in any case.
        drain: Whether a drain is kept at work beside the training; see `uploader.recording.background_drain`.
    """

    journal: str | None = None
    durability: Durability = "full"
    routes: tuple[tuple[str, str], ...] = ()
    max_size: int = DEFAULT_MAX_SIZE
    mirror: str | None = None
    max_wait: float = field(default_factory=default_max_wait)
    drain: bool = False
    into: str | None = None

    @property
    def shared(self) -> str | None:
        """The shared journal, also where the environment alone names it."""
        chosen = chosen_shared() if self.into is None and self.journal is None else None
        return without_password(chosen) if chosen else self.into
