"""How clients reach this server: by itself, or through a proxy that has it under a path of its own.

A proxy that takes its path off says so in `X-Forwarded-Prefix`. That anybody can send it does no harm: it changes
nothing but the URLs in the answer to whoever sent it. `serve --url` says it for proxies that do not, and may
leave the path on.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


class WithoutPrefix:
    """Takes a path off that a proxy left on.

    Args:
        app: The application behind.
        url: By which clients reach the server; None when nobody said.
    """

    def __init__(self, app: ASGIApp, url: str | None) -> None:
        self._app = app
        self._prefix = _path(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        if self._prefix and scope["type"] == "http" and f"{scope['path']}/".startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"][len(self._prefix) :] or "/"}
        await self._app(scope, receive, send)


def address(request: Request, url: str | None) -> str:
    """Return by which address the client reached this server, without a slash at the end.

    Args:
        request: The client's.
        url: What a person said; None when nobody did.
    """
    return url or str(request.base_url).rstrip("/") + prefix(request, url)


def prefix(request: Request, url: str | None) -> str:
    """Return the path under which a proxy has this server, "" without one; see `address`."""
    if url:
        return _path(url)
    said = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    return said if _PREFIX.fullmatch(said) else ""


def _path(url: str | None) -> str:
    return urlsplit(url or "").path.rstrip("/")
