"""What a person asks of a drain."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uploader.delivery.timing import Timing
from uploader.errors import SettingsError
from uploader.platforms.registry import DEFAULT, NAMES

LONGEST = 10**9
"""The longest `max_time`, seconds: about thirty years. A drain that watches has no limit."""
MOST_PARALLEL = 256


@dataclass(frozen=True)
class DrainOptions:
    """What a person asked for.

    Attributes:
        runs: Ids or beginnings of ids of the runs to deliver; empty for all.
        to: Base URL of one more destination for them, or None. The key for its kind of platform goes there, too.
        platform: Name of the API that `to` speaks.
        watch: Go on for ever, also with what is recorded meanwhile.
        until_done: End, although it watches, once no training records and everything that may arrive has; leave the
            journal to another drain that does the same.
        log: The file that the drain prints to, for whoever asks; None for the streams that it was started with.
        max_time: Go on trying for so many seconds; None ends when nothing more can be done now.
        parallel: How many messages at once, for each destination; None for what the link and the platform take.
        uploads: How many uploads at once, for each destination.
        timing: How long to wait for what.

    Raises:
        SettingsError: One cannot be used.
    """

    runs: tuple[str, ...] = ()
    to: str | None = None
    platform: str = DEFAULT.name
    watch: bool = False
    until_done: bool = False
    log: Path | None = None
    max_time: float | None = None
    parallel: int | None = None
    uploads: int = 2
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        """Refuse what cannot be used; `nan` fails the comparison, as it should."""
        if self.max_time is not None and not 0 <= self.max_time <= LONGEST:
            raise SettingsError(f"max_time is {self.max_time:g}; give a number of seconds from 0 to {LONGEST:,}")
        if self.parallel is not None and not 1 <= self.parallel <= MOST_PARALLEL:
            raise SettingsError(f"parallel is {self.parallel}; give a number from 1 to {MOST_PARALLEL}")
        if self.platform not in NAMES:
            raise SettingsError(f"platform is {self.platform!r}; give one of {', '.join(NAMES)}")
