"""Errors of the transport, and what each means for a delivery. Pure."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from http.client import HTTPException

import requests
from urllib3 import exceptions as pool_errors

from uploader.errors import DeliveryError, Transient, UnknownOutcome, Unreachable

TRANSPORT_ERRORS = (requests.RequestException, pool_errors.HTTPError, HTTPException, OSError, ValueError)
"""All that the transport raises. Beyond its own errors: bad addresses are ValueErrors, the socket's are OSErrors."""

_NOTHING_SENT = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    pool_errors.ConnectTimeoutError,
    pool_errors.NewConnectionError,
    pool_errors.ProxyError,
)
_HANDSHAKE = re.compile("WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|HANDSHAKE_FAILURE|HTTP_REQUEST")
"""TLS errors that come before a request is sent. Any other one may come in the middle of an answer."""
_BAD_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    pool_errors.LocationValueError,
    pool_errors.URLSchemeUnknown,
)


def classify(error: Exception, host: str) -> DeliveryError:
    """Return what an error of the transport means for a delivery; its text, which may quote URLs, is not used.

    Args:
        error: One of `TRANSPORT_ERRORS`.
        host: Whom it was about, for the message.
    """
    chain = list(_chain(error))
    if untrusted := next((each for each in chain if isinstance(each, ssl.SSLCertVerificationError)), None):
        return Unreachable(_distrust(host, untrusted))
    reason = _reason(chain)
    if any(isinstance(each, _NOTHING_SENT) or _failed_handshake(each) for each in chain):
        return Unreachable(f"{host} cannot be reached ({reason})")
    if any(isinstance(each, _BAD_ADDRESS) for each in chain):
        return Transient(f"the address on {host} cannot be used ({reason})")
    return UnknownOutcome(f"the connection to {host} broke before its answer ({reason})")


def _distrust(host: str, error: ssl.SSLCertVerificationError) -> str:
    why = getattr(error, "verify_message", None) or "no reason given"
    return (
        f"{host} cannot be trusted ({why}); nothing was sent. Where an authority of your own signs certificates, as "
        "with a company's proxy, name a file with its own certificate in REQUESTS_CA_BUNDLE"
    )


def _failed_handshake(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and bool(_HANDSHAKE.search(getattr(error, "reason", None) or ""))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those inside it: libraries wrap by argument, attribute and cause."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        each = todo.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


def _reason(chain: list[BaseException]) -> str:
    """Return the system's own words if there are any, else the innermost error's name as words."""
    for each in chain:
        if isinstance(each, OSError) and each.strerror and not isinstance(each, requests.RequestException):
            return str(each.strerror)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(chain[-1]).__name__.removesuffix("Error")).lower()
