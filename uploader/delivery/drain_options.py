"""What a person asks of a drain."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uploader.delivery.timing import Timing
from uploader.platforms.registry import DEFAULT


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
