"""A read time-out for request bodies: a client that sends too slowly, or stops sending, is refused."""

from __future__ import annotations

import time

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uploader.server.http_errors import TooSlow
from uploader.server.limits import MIN_BODY_BYTES


class BodyTimeout:
    """Limits how long the application waits for a request's body.

    Only the waiting counts, not the time that the application spends between two reads, such as writing to a slow
    disk. When the time is up, the read raises `TooSlow`.

    Args:
        app: The next ASGI application.
        seconds: Time to wait for each `MIN_BODY_BYTES` bytes.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the time-out applied to its body."""
        await self._app(scope, _TimedReceive(receive, self._seconds).receive, send)


class _TimedReceive:
    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._left = seconds
        self._received = 0
        self._more = True

    async def receive(self) -> Message:
        if not self._more:  # the body is complete; the application waits for the client to disconnect
            return await self._receive()
        started = time.monotonic()
        try:
            with anyio.fail_after(self._left):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow("The body arrived too slowly: send it again") from None
        self._left -= time.monotonic() - started
        self._count(message)
        return message

    def _count(self, message: Message) -> None:
        self._received += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._received >= MIN_BODY_BYTES:
            self._received, self._left = 0, self._seconds
