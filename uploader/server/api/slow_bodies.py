"""Bodies that must keep coming: a request whose client sends too slowly, or no more, is refused."""

from __future__ import annotations

import time

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uploader.server.http_errors import TooSlow
from uploader.server.limits import LEAST_BODY


class PacedBodies:
    """Bounds how long the application waits for a request's body.

    Only waiting counts, not what the application does between two reads, such as writing to a slow disk. A wait that is
    too long raises `TooSlow` in whoever reads.

    Args:
        app: The application behind.
        within: Seconds of waiting for each `LEAST_BODY` bytes.
    """

    def __init__(self, app: ASGIApp, within: float) -> None:
        self._app = app
        self._within = within

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with a body that is waited for no longer than that."""
        await self._app(scope, _Paced(receive, self._within).receive, send)


class _Paced:
    def __init__(self, receive: Receive, within: float) -> None:
        self._receive = receive
        self._within = within
        self._left = within
        self._came = 0
        self._more = True

    async def receive(self) -> Message:
        if not self._more:  # what is waited for now is the client's leaving
            return await self._receive()
        begun = time.monotonic()
        try:
            with anyio.fail_after(self._left):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow("The body came too slowly: send it again") from None
        self._left -= time.monotonic() - begun
        self._count(message)
        return message

    def _count(self, message: Message) -> None:
        self._came += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._came >= LEAST_BODY:
            self._came, self._left = 0, self._within
