"""Authentication: which requests need the API key, and which are refused even with it."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from uploader.server.api.bodies import Json

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXY_HEADERS = {"forwarded", "via", "x-real-ip"}


class RejectCrossSite:
    """Rejects state-changing requests that a page of another site makes through a browser (CSRF).

    Browsers state the origin (`Sec-Fetch-Site`, `Origin`); other programs do not.

    Args:
        app: The next ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        if scope["type"] != "http" or scope["method"] in _SAFE_METHODS or not is_cross_site(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        answer = Json({"error": "A page of another site may not change anything here"}, status_code=403)
        await answer(scope, receive, send)


class RequireKey:
    """Passes on requests that carry the API key, and those that need none.

    Clients send the key as `Authorization: Bearer KEY`, clients of HUB as `x-api-key: KEY`. For reading, it is also
    accepted as the password of `Basic`, which a browser sends automatically whichever site's page makes the request.
    Signed storage URLs need no key, nor do the pages when browser and server are on the same machine.

    Args:
        app: The next ASGI application.
        key: The API key.
        is_behind_proxy: Whether the server is known to be behind a proxy, so that no client connects directly.
    """

    def __init__(self, app: ASGIApp, key: str, *, is_behind_proxy: bool = False) -> None:
        self._app = app
        self._key = key
        self._is_behind_proxy = is_behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        if scope["type"] != "http" or self._admits(scope):
            await self._app(scope, receive, send)
            return
        challenge = "Basic" if _shows_page(scope) else "Bearer"
        answer = Json(
            {"error": "The API key is missing or wrong"},
            status_code=401,
            headers={"WWW-Authenticate": f'{challenge} realm="local platform"'},
        )
        await answer(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        path, headers = scope["path"], Headers(scope=scope)
        is_local_client = not self._is_behind_proxy and is_local(scope, headers)
        if path.startswith("/storage/") or (_shows_page(scope) and is_local_client):
            return True
        presented = presented_key(headers, reads=scope["method"] in _SAFE_METHODS)
        return hmac.compare_digest(presented.encode(), self._key.encode())


def is_page(path: str) -> bool:
    """Tell whether a path is one of the pages, or something that they load."""
    return path in ("/", "/compare") or path.startswith(("/runs/", "/hub/", "/models/", "/assets/", "/data/"))


def is_cross_site(headers: Headers) -> bool:
    """Tell whether a browser states that a page of another site makes the request."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site.lower() not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower()


def presented_key(headers: Headers, *, reads: bool) -> str:
    """Return the key that a request carries, or an empty string, which is never a valid key.

    Args:
        headers: Headers of the request.
        reads: Whether the request only reads.
    """
    if key := headers.get("x-api-key"):
        return key.strip()
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic" and reads:
        return _password(value)
    return ""


def is_local(scope: Scope, headers: Headers) -> bool:
    """Tell whether a request comes from this machine and was addressed to it.

    The Host header is checked too; otherwise any web site could point its own name at this machine and read the pages
    (DNS rebinding). A request through a proxy comes from a client elsewhere, but a proxy on this machine that adds no
    headers cannot be distinguished from a local browser.
    """
    client = scope.get("client")
    if not client or any(name in _PROXY_HEADERS or name.startswith("x-forwarded-") for name in headers):
        return False
    host = headers.get("host", "").lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return is_loopback(client[0]) and (name == "localhost" or is_loopback(name.strip("[]")))


def is_loopback(address: str) -> bool:
    """Tell whether a text is a loopback IP address; host names are not."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _shows_page(scope: Scope) -> bool:
    """Tell whether a request only reads a page; what pages change needs the key, wherever the browser is."""
    return is_page(scope["path"]) and scope["method"] in _SAFE_METHODS


def _password(value: str) -> str:
    try:
        return base64.b64decode(value.encode(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeError):
        return ""
