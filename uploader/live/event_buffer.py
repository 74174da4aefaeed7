"""Holds back events until it is certain that the run continues."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from journal.storage.database import Durability
from uploader.recording.recorder import plain_payload


class Write(Protocol):
    """Writes one event durably, as `Recorder.event` does."""

    def __call__(
        self, kind: str, payload: Mapping[str, Any], key: str = "", durability: Durability | None = None
    ) -> None:
        """Write it."""
        ...


class EventBuffer:
    """Passes events on; those of a finished run only once it is certain that the run continues.

    When a finished run is resumed by mistake, the trainer refuses after its start event. An event cannot be taken back:
    the platform would show the run as running, and then as failed. Until `flush`, events are kept in memory.

    Args:
        write: Takes the events.
        is_buffering: Whether to hold them back.
    """

    def __init__(self, write: Write, *, is_buffering: bool) -> None:
        self._write = write
        self._lock = threading.RLock()  # a signal handler may write while the thread under it does
        self._held: list[tuple[str, Mapping[str, Any], str, Durability | None]] | None = [] if is_buffering else None

    @property
    def is_buffering(self) -> bool:
        """Whether events are held back."""
        return self._held is not None

    def event(self, kind: str, payload: Mapping[str, Any], key: str = "", durability: Durability | None = None) -> None:
        """Pass an event on, or keep it."""
        if self._held is not None:
            payload = plain_payload(payload)  # outside the lock
            with self._lock:
                if self._held is not None:
                    self._held.append((kind, payload, key, durability))
                    return
        self._write(kind, payload, key, durability)

    def flush(self) -> None:
        """Pass on what was held back, and every later event at once."""
        with self._lock:
            while self._held:
                self._write(*self._held.pop(0))
            self._held = None
