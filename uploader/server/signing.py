"""Signed, expiring URLs: whoever holds one may do that one thing until it expires, and needs no other credentials."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from uploader.server.http_errors import Forbidden


@dataclass(frozen=True)
class Signer:
    """Makes and checks signatures.

    Attributes:
        secret: Key of the HMAC, private to one data folder.
        lifetime: Seconds for which a new URL is valid.
    """

    secret: bytes = field(repr=False)
    lifetime: int

    def url(self, base: str, method: str, path: str, now: float) -> str:
        """Return `path` under `base`, signed for `method` from `now` (Unix seconds) on."""
        return self.url_until(base, method, path, int(now) + self.lifetime)

    def url_until(self, base: str, method: str, path: str, end: int) -> str:
        """Return `path` under `base`, signed for `method` until `end` (Unix seconds)."""
        expires = str(end)
        query = urlencode({"expires": expires, "signature": self._signature(method, path, expires)})
        return f"{base}{quote(path)}?{query}"

    def check(self, method: str, path: str, expires: str, signature: str, now: float) -> None:
        """Accept a signed request.

        Raises:
            Forbidden: The signature does not fit, or the time is over. As with cloud storage, ask for a new URL.
        """
        expected = self._signature("GET" if method == "HEAD" else method, path, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise Forbidden("The signature of this URL is wrong: ask for a new URL")
        if int(expires) < now:
            raise Forbidden("This URL has expired: ask for a new URL")

    def _signature(self, method: str, path: str, expires: str) -> str:
        message = f"{method}\n{path}\n{expires}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
