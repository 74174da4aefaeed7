"""Who may ask. Every path needs the key unless this module says otherwise."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from uploader.server.api.bodies import Json

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_BY_PROXIES = {"forwarded", "via", "x-real-ip"}


class RefuseOtherSites:
    """Refuses requests that change something where a page of another site has a browser make them.

    Browsers name the site (`Sec-Fetch-Site`, `Origin`); programs do not.

    Args:
        app: The application behind.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or hand the request on."""
        if scope["type"] != "http" or scope["method"] in _READING or not is_of_another_site(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        answer = Json({"error": "A page of another site may not change anything here"}, status_code=403)
        await answer(scope, receive, send)


class RequireKey:
    """Lets requests through that carry the API key, and those that need none.

    The key travels as `Authorization: Bearer KEY`, for HUB as `x-api-key: KEY`. To read, a browser may send it as the
    password of `Basic`; that it does by itself, whichever site's page makes the request. No key is needed for signed
    storage URLs, nor for the pages when browser and server are on the same machine.

    Args:
        app: The application behind.
        key: The API key.
        is_behind_proxy: Whether a proxy is known to be in front, so that nobody comes here directly.
    """

    def __init__(self, app: ASGIApp, key: str, *, is_behind_proxy: bool = False) -> None:
        self._app = app
        self._key = key
        self._is_behind_proxy = is_behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand the request on."""
        if scope["type"] != "http" or self._admits(scope):
            await self._app(scope, receive, send)
            return
        challenge = "Basic" if is_page(scope["path"]) else "Bearer"
        answer = Json(
            {"error": "The API key is missing or wrong"},
            status_code=401,
            headers={"WWW-Authenticate": f'{challenge} realm="local platform"'},
        )
        await answer(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        path, headers = scope["path"], Headers(scope=scope)
        is_here = not self._is_behind_proxy and is_local(scope, headers)
        if path.startswith("/storage/") or (is_page(path) and is_here):
            return True
        presented = presented_key(headers, reads=scope["method"] in _READING)
        return hmac.compare_digest(presented.encode(), self._key.encode())


def is_page(path: str) -> bool:
    """Tell whether a path is one of the pages for people."""
    return path in ("/", "/style.css") or path.startswith(("/runs/", "/hub/", "/models/"))


def is_of_another_site(headers: Headers) -> bool:
    """Tell whether a browser says that a page of another site makes the request."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site.lower() not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower()


def presented_key(headers: Headers, *, reads: bool) -> str:
    """Return the key that a request carries, or an empty string, which is never a key.

    Args:
        headers: The request's.
        reads: Whether it changes nothing.
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
    """Tell whether a request comes from this machine and was meant for it.

    The name that the browser asked for is checked too, or any web site could have its own name point here and read
    the pages (DNS rebinding); and a proxy in front means that the real client is elsewhere. One that says nothing of
    itself cannot be told from a browser here.
    """
    client = scope.get("client")
    if not client or any(name in _BY_PROXIES or name.startswith("x-forwarded-") for name in headers):
        return False
    host = headers.get("host", "").lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return is_loopback(client[0]) and (name == "localhost" or is_loopback(name.strip("[]")))


def is_loopback(address: str) -> bool:
    """Tell whether an IP address is of the machine itself; a name is not."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _password(value: str) -> str:
    try:
        return base64.b64decode(value.encode(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeError):
        return ""
