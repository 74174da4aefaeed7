"""Who may look: only who knows the token of the address that the command printed, as others use this machine, too."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PARAMETER = "token"


class TokenGate:
    """Passes on requests of a browser that came by the address with the token once; it keeps it in a cookie.

    Another host's name in the request, by which a page elsewhere would have the browser ask this machine (DNS
    rebinding), is refused by the application beside this (`TrustedHostMiddleware`).

    Args:
        app: The next ASGI application.
        token: The token.
        cookie: Name of the cookie. Browsers keep one jar for all ports of a host, so each server has its own.
    """

    def __init__(self, app: ASGIApp, token: str, cookie: str) -> None:
        self._app = app
        self._token = token
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, have the browser keep the token, or answer 403."""
        if scope["type"] != "http" or self._is_known(self._kept(Headers(scope=scope))):
            await self._app(scope, receive, send)
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == PARAMETER), "")
        rest = [(name, value) for name, value in query if name != PARAMETER]
        await (self._welcome(scope["path"], rest) if self._is_known(given) else _refusal())(scope, receive, send)

    def _welcome(self, path: str, query: Sequence[tuple[str, str]]) -> Response:
        """Lead to the page that was asked for, without the token; of a path like `//host`, to none of another host."""
        asked = "/" + quote(path.lstrip("/\\"), safe="/")
        answer = RedirectResponse(f"{asked}?{urlencode(query)}" if query else asked, 303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return answer

    def _kept(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _is_known(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode())


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(18)


def _refusal() -> Response:
    return PlainTextResponse("Open the address that `uploader view` printed, with its token.\n", 403)
