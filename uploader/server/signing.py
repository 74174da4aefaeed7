"""Signed, expiring URLs: each allows one method on one path until it expires, without other credentials."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from uploader.server.http_errors import Forbidden


@dataclass(frozen=True)
class Signer:
    """Creates and checks signatures.

    Attributes:
        secret: HMAC key, specific to one data folder.
        lifetime: Seconds for which a new URL is valid.
    """

    secret: bytes = field(repr=False)
    lifetime: int

    def url(self, base: str, method: str, path: str, now: float) -> str:
        """Return the URL of `path` under `base`, signed for `method`; its lifetime begins at `now` (Unix seconds)."""
        return self.url_until(base, method, path, int(now) + self.lifetime)

    def url_until(self, base: str, method: str, path: str, end: int) -> str:
        """Return the URL of `path` under `base`, signed for `method` until `end` (Unix seconds)."""
        expires = str(end)
        query = urlencode({"expires": expires, "signature": self._signature(method, path, expires)})
        return f"{base}{quote(path)}?{query}"

    def check(self, method: str, path: str, expires: str, signature: str, now: float) -> None:
        """Check the signature of a request.

        Raises:
            Forbidden: The signature is wrong or has expired. As with cloud storage, the client must get a new URL.
        """
        expected = self._signature("GET" if method == "HEAD" else method, path, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise Forbidden("The signature of this URL is wrong: request a new URL")
        if int(expires) < now:
            raise Forbidden("This URL has expired: request a new URL")

    def _signature(self, method: str, path: str, expires: str) -> str:
        message = f"{method}\n{path}\n{expires}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
