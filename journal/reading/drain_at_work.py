"""Which drain works on a journal, as it tells in a file beside its lock."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from os import getpid
from pathlib import Path

from journal.clock import now_text, to_the_second
from journal.disk import give_to_owner_of
from journal.sessions.liveness import boot_id, host_name, is_dead, is_here

HOLDER = "drain.json"
"""Who holds the lock; beside it, because taking the lock empties the lock's own file."""
LOG = "drain.log"
"""What a background drain prints; a longer one is moved to the same name with `.1`."""


COLLECTOR = "collect.json"
"""The same of the collector that a training keeps at work."""
COLLECT_LOG = "collect.log"
"""What that prints."""


@dataclass(frozen=True)
class DrainProgress:
    """How far a drain is.

    Attributes:
        delivered: Deliveries that it has made.
        bytes: What they held.
        left: How many are left, about: of what is not planned yet, console text will be joined.
        left_bytes: What those hold that are planned.
        seconds_left: How long they will take at the pace of late; None where nothing was delivered lately.
    """

    delivered: int
    bytes: int
    left: int
    left_bytes: int
    seconds_left: float | None


@dataclass(frozen=True)
class DrainAtWork:
    """A drain that holds a journal's lock, or did until it died.

    Attributes:
        pid: Its process.
        host: Its machine.
        boot: What `boot_id` said there; "" if unknown.
        started_at: When it took the lock, ISO.
        is_background: Whether a training started it. It ends only after it has looked whether another training began.
        log: The file that it prints to; None for the streams that it was started with.
        warnings: What is in its way now.
        progress: How far it is, as it told a second or two ago; None before it has.
        was_stopped: Whether it has ended because it was told to; only a background drain leaves that behind.
    """

    pid: int = field(default_factory=getpid)
    host: str = field(default_factory=host_name)
    boot: str = field(default_factory=boot_id)
    started_at: str = field(default_factory=now_text)
    is_background: bool = False
    log: str | None = None
    was_stopped: bool = False
    warnings: tuple[str, ...] = ()
    progress: DrainProgress | None = None

    def write(self, folder: Path, name: str = HOLDER) -> None:
        """Write the file, whole or not at all, as others may be reading it.

        Args:
            folder: The journal.
            name: The file's.
        """
        draft = folder / f"{name}.tmp"
        draft.touch(mode=0o600)
        give_to_owner_of(draft, folder)
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(folder / name)

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended."""
        return self.was_stopped or is_dead(self.host, self.boot, self.pid)

    @property
    def is_here(self) -> bool:
        """Whether its process would be visible to us."""
        return is_here(self.host, self.boot)

    @property
    def in_words(self) -> str:
        """It, for messages."""
        return f"process {self.pid} on {self.host}, since {to_the_second(self.started_at)}"


def last_drain(folder: Path, name: str = HOLDER) -> DrainAtWork | None:
    """Return the drain that holds a journal's lock, or that left its file when it died; None if there is no such file.

    Args:
        folder: The journal.
        name: The file's.
    """
    try:
        return drain_told((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def drain_told(text: str) -> DrainAtWork | None:
    """Return the drain that told this of itself; None where it is no such thing.

    Args:
        text: JSON.
    """
    try:
        told = json.loads(text)
        known = {name: told[name] for name in DrainAtWork.__dataclass_fields__ if name in told}
        checked = {"pid": int(told["pid"]), "host": str(told["host"]), "warnings": tuple(told.get("warnings", ()))}
        checked["progress"] = DrainProgress(**told["progress"]) if told.get("progress") else None
        return DrainAtWork(**{"boot": "", **known, **checked})
    except (ValueError, KeyError, TypeError):
        return None


def drain_at_work(folder: Path) -> DrainAtWork | None:
    """Return the drain that works on a journal, as far as is known here; None if there is none.

    Args:
        folder: The journal.
    """
    found = last_drain(folder)
    return None if found is None or found.is_gone else found


def collector_at_work(folder: Path) -> DrainAtWork | None:
    """Return the collector that a training keeps at work, as far as is known here; None if there is none.

    Args:
        folder: The training's journal.
    """
    found = last_drain(folder, COLLECTOR)
    return None if found is None or found.is_gone else found
