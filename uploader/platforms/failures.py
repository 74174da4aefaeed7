"""What errors of the transport mean for a delivery. Pure."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from http.client import HTTPException

import requests
from urllib3 import exceptions as pool_errors
from urllib3.connection import CertificateError  # type: ignore[attr-defined]  # where both 1.26 and 2 have it

from uploader.errors import DeliveryError, Transient, UnknownOutcome, Unreachable
from uploader.platforms.answers import PROXY_LOGIN

TRANSPORT_ERRORS = (requests.RequestException, pool_errors.HTTPError, HTTPException, OSError, ValueError)
"""Everything the transport raises: its own errors, ValueErrors for bad addresses, OSErrors of the socket."""

_NOTHING_SENT = (
    requests.ConnectTimeout,
    pool_errors.ConnectTimeoutError,
    pool_errors.NewConnectionError,
)
"""Not the library's `ProxyError`, which covers everything that goes wrong on a connection through a proxy."""
_UNTRUSTED = (ssl.SSLCertVerificationError, CertificateError)  # the second comes from the library's own check of names
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_CLOCK = {9: "is not valid yet", 10: "has expired"}
"""OpenSSL's codes for certificates that are not valid at this time, by this machine's clock."""
_HANDSHAKE = re.compile("WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|HANDSHAKE_FAILURE|HTTP_REQUEST")
"""TLS errors that precede the request. Any other may occur in the middle of an answer."""
_BAD_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    pool_errors.LocationValueError,
    pool_errors.URLSchemeUnknown,
)


def classify(error: Exception, host: str, proxy: str | None = None) -> DeliveryError:
    """Return what an error of the transport means for a delivery, without its text, which may quote URLs.

    Args:
        error: One of `TRANSPORT_ERRORS`.
        host: The host that was asked, for the message.
        proxy: Host and port of the proxy in between, if any.
    """
    chain = list(_chain(error))
    if untrusted := next((each for each in chain if isinstance(each, _UNTRUSTED)), None):
        return Unreachable(_distrust(host, untrusted))
    if refused := next((found for each in chain if (found := _TUNNEL.match(_message_of(each)))), None):
        return Unreachable(_no_tunnel(host, proxy, refused[1]))
    reason = _reason(chain)
    if any(isinstance(each, _NOTHING_SENT) or _failed_handshake(each) for each in chain):
        what = f"the proxy {proxy}, which leads to {host}," if proxy else host
        return Unreachable(f"{what} cannot be reached ({reason})")
    if any(isinstance(each, _BAD_ADDRESS) for each in chain):
        return Transient(f"the address on {host} cannot be used ({reason})")
    through = f", through the proxy {proxy}," if proxy else ""
    return UnknownOutcome(f"the connection to {host}{through} broke before its answer ({reason})")


def _distrust(host: str, error: Exception) -> str:
    if when := _CLOCK.get(getattr(error, "verify_code", 0)):
        return (
            f"{host} cannot be trusted: its certificate {when} by this machine's clock; nothing was sent. Check the "
            "date and time of this machine first; if they are right, the certificate must be renewed there"
        )
    why = getattr(error, "verify_message", None) or _message_of(error) or "no reason given"
    return (
        f"{host} cannot be trusted ({why}); nothing was sent. Where an authority of your own signs certificates, as "
        "with a company's proxy, name a file with its own certificate in REQUESTS_CA_BUNDLE"
    )


def _no_tunnel(host: str, proxy: str | None, status: str) -> str:
    refused = f"the proxy {proxy or 'in between'} made no connection to {host} ({status})"
    if status == "407":
        return f"{refused}: {PROXY_LOGIN}"
    return f"{refused}; it is the proxy that must allow it, or {host.partition(':')[0]} must be named in NO_PROXY"


def _message_of(error: BaseException) -> str:
    """Return an error's text, if it has one."""
    return error.args[-1] if error.args and isinstance(error.args[-1], str) else ""


def _failed_handshake(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and bool(_HANDSHAKE.search(getattr(error, "reason", None) or ""))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that it wraps, by argument, attribute, cause or context."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        each = todo.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


def _reason(chain: list[BaseException]) -> str:
    """Return the system's message if there is one, else the name of the innermost error in words."""
    for each in chain:
        if isinstance(each, OSError) and each.strerror and not isinstance(each, requests.RequestException):
            return str(each.strerror)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(chain[-1]).__name__.removesuffix("Error")).lower()
