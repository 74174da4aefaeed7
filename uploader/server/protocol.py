"""uvicorn's HTTP/1.1 protocol with two more time-outs.

uvicorn limits how long a connection may be idle between two requests, but neither how long the head of a request may
take nor how long a client may leave its answer unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from uploader.server.api.auth import is_page
from uploader.server.limits import Limits


class BoundedProtocol(H11Protocol):
    """Closes connections whose client makes no progress. Created by `bounded`."""

    limits: ClassVar[Limits]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the time-out for the first request."""
        super().connection_made(transport)
        self._head = _Deadline(self.loop, self.limits.head, transport.abort)
        self._answer = _Deadline(self.loop, self.limits.answer, transport.abort)
        self._head.start()

    def data_received(self, data: bytes) -> None:
        """Receive bytes. The time-out for a request's head starts with its first byte."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.stop()
        else:
            self._head.start()

    def pause_writing(self) -> None:
        """Start the time-out for a client that has stopped reading."""
        super().pause_writing()
        self._answer.start()

    def resume_writing(self) -> None:
        """Stop that time-out."""
        super().resume_writing()
        self._answer.stop()

    def on_response_complete(self) -> None:
        """Start the time-out for the next request, a short one for whoever looks at pages."""
        self.timeout_keep_alive = self.limits.viewing if is_page(self.scope["path"]) else self.limits.idle
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all time-outs."""
        super().connection_lost(exc)
        self._head.stop()
        self._answer.stop()


def bounded(limits: Limits) -> type[BoundedProtocol]:
    """Return a protocol class with these limits; uvicorn instantiates it for each connection."""

    class Bounded(BoundedProtocol):
        pass

    Bounded.limits = limits
    return Bounded


class _Deadline:
    """Calls a function unless it is stopped in time. Starting it again while it runs has no effect."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._act = act
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._act)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
