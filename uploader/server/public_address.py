"""The address by which clients reach this server: directly, or through a proxy under a path prefix.

A proxy that strips its prefix says so in `X-Forwarded-Prefix`. Any client can send that header, which does no harm: it
changes only the URLs in the answer to that client. `serve --url` names the address for proxies that do not send the
header; those may also leave the prefix in place.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


class StripPrefix:
    """Strips a path prefix that a proxy left in place.

    Args:
        app: The next ASGI application.
        url: The address from `serve --url`, or None.
    """

    def __init__(self, app: ASGIApp, url: str | None) -> None:
        self._app = app
        self._prefix = _path(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if self._prefix and scope["type"] == "http" and f"{scope['path']}/".startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"][len(self._prefix) :] or "/"}
        await self._app(scope, receive, send)


def address(request: Request, url: str | None) -> str:
    """Return the address by which the client reached this server, without a trailing slash.

    Args:
        request: The client's request.
        url: The address from `serve --url`, or None.
    """
    return url or str(request.base_url).rstrip("/") + prefix(request, url)


def prefix(request: Request, url: str | None) -> str:
    """Return the path prefix of this server behind a proxy, or an empty string; see `address`."""
    if url:
        return _path(url)
    given = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    return given if _PREFIX.fullmatch(given) else ""


def _path(url: str | None) -> str:
    return urlsplit(url or "").path.rstrip("/")
