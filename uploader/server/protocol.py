"""HTTP/1.1 over one connection: uvicorn's, with an end to its patience.

uvicorn bounds how long a connection may be idle between two requests, and neither how long the head of a request may
take nor how long a client may read nothing of its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from uploader.server.limits import Limits


class BoundedProtocol(H11Protocol):
    """Ends connections whose client does not go on. Made by `bounded`."""

    limits: ClassVar[Limits]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._head = _Deadline(self.loop, self.limits.head, transport.abort)
        self._answer = _Deadline(self.loop, self.limits.answer, transport.abort)
        self._head.start()

    def data_received(self, data: bytes) -> None:
        """Take bytes; from the first one of a request on, all of its head must come in time."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.stop()
        else:
            self._head.start()

    def pause_writing(self) -> None:
        """Take note that the client does not read what is sent."""
        super().pause_writing()
        self._answer.start()

    def resume_writing(self) -> None:
        """Take note that it does."""
        super().resume_writing()
        self._answer.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._head.stop()
        self._answer.stop()


def bounded(limits: Limits) -> type[BoundedProtocol]:
    """Return the protocol with these limits; uvicorn makes one for each connection by itself."""

    class Bounded(BoundedProtocol):
        pass

    Bounded.limits = limits
    return Bounded


class _Deadline:
    """Calls a function unless it is stopped in time; started again, it does not begin anew."""

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
