"""HTTP as the platform clients need it: one request, one whole answer, every failure a `DeliveryError`.

Requests go through the transport of `requests` without its session. So there are no cookies, no redirects, and
no credentials but those that are given here: not from `.netrc`, and never to another host.
"""

from __future__ import annotations

import functools
import io
import os
import tempfile
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from uploader.errors import DeliveryError, SettingsError, Transient
from uploader.platforms.answers import Answer, host_of, refusal
from uploader.platforms.blob import Body
from uploader.platforms.failures import TRANSPORT_ERRORS, classify
from uploader.platforms.quiet import hide_queries

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, and for each write to it."""
ANSWER_SECONDS = 60.0
"""Longest silence of the platform before an answer is given up on."""
LONGEST_ANSWER = 1024 * 1024
"""Most bytes of an answer that are read, unless a request expects more."""

_WRITE_WHOLE = 64 * 1024  # bytes
_WHOLE_FILE = 200  # other successes come with a part of it, or with nothing
hide_queries()


class Transport:
    """Connections, kept alive and shared by threads."""

    def __init__(
        self,
        *,
        connections: int = 16,
        ca_bundle: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            connections: How many are kept open for each host.
            ca_bundle: File or folder of certificates to trust, or None for the usual ones.
            connect_seconds: Longest wait for a connection, and for each write to it.
            answer_seconds: Longest silence before an answer is given up on.

        Raises:
            SettingsError: There are no such certificates.
        """
        if ca_bundle and not Path(ca_bundle).exists():
            raise SettingsError(f"there are no certificates in {ca_bundle}; check REQUESTS_CA_BUNDLE and its like")
        self._adapter = HTTPAdapter(pool_maxsize=connections)
        self._verify = ca_bundle or True
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        answer_seconds: float | None = None,
        longest: int = LONGEST_ANSWER,
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status.

        Args:
            method: The HTTP method.
            url: Absolute.
            headers: Beyond those of the transport itself.
            body: What is sent along.
            answer_seconds: Longest silence before this answer is given up on; by default the transport's.
            longest: Of the answer's body, so many bytes are read.

        Raises:
            Unreachable: No connection was made.
            UnknownOutcome: The connection broke or fell silent after that.
            Transient: The address cannot be used.
            BlobUnusable: The body could not be read.
        """
        timeout = (self._connect_seconds, answer_seconds or self._answer_seconds)
        try:
            response = self._adapter.send(
                _prepare(method, url, headers or {}, body),
                stream=True,
                timeout=timeout,
                verify=self._verify,
                proxies=_proxies(_origin(url)),
            )
            return Answer(response.status_code, response.headers, *_read(response.raw, longest))
        except TRANSPORT_ERRORS as error:
            failure = classify(error, host_of(url))
        raise failure  # outside of the handler: what it handles quotes the URL

    def download(self, url: str, target: Path) -> None:
        """Get a file without credentials; it appears under its name when it is whole and on disk.

        Args:
            url: Absolute; it may hold a signature, which no error shows.
            target: Where to put it, in a folder that exists.

        Raises:
            DeliveryError: There is no such file to be had now.
        """
        try:
            response = self._adapter.send(
                _prepare("GET", url, {}, None),
                stream=True,
                timeout=(self._connect_seconds, self._answer_seconds),
                verify=self._verify,
                proxies=_proxies(_origin(url)),
            )
            if response.status_code == _WHOLE_FILE:
                return _save(response.raw, response.headers.get("Content-Length"), target)
            failure = _no_file(Answer(response.status_code, response.headers, b""), host_of(url))
            response.close()
        except TRANSPORT_ERRORS as error:
            failure = classify(error, host_of(url))
        raise failure  # outside of the handler: what it handles quotes the URL

    def close(self) -> None:
        """Close idle connections."""
        self._adapter.close()


def _prepare(method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None) -> requests.PreparedRequest:
    """Return the request, by way of the only steps it needs: `Request.prepare` takes as long as sending does."""
    prepared = requests.PreparedRequest()
    prepared.prepare_method(method)
    prepared.url = _checked(url)
    prepared.prepare_headers(headers)
    prepared.prepare_body(_in_blocks(body), None)
    return prepared


@functools.lru_cache(maxsize=8)
def _checked(url: str) -> str | None:
    """Return the URL in the form in which it is sent."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return prepared.url


def _in_blocks(body: bytes | Body | None) -> bytes | io.BytesIO | Body:
    """Have a large body written block by block: the time-out is for each write, and a slow link needs many."""
    if not body:
        return b""  # an empty stream would go out chunked, which storages refuse
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _WRITE_WHOLE else body


def _read(raw: urllib3.BaseHTTPResponse, longest: int) -> tuple[bytes, bool]:
    """Return a body up to the limit, and whether that is all; the connection is closed when more would come."""
    try:
        body = b""
        while len(body) <= longest and (block := raw.read(longest + 1 - len(body), decode_content=True)):
            body += block
        return body[:longest], len(body) <= longest
    finally:
        raw.close()


def _save(raw: urllib3.BaseHTTPResponse, announced: str | None, target: Path) -> None:
    """Write a body under a temporary name of its own first, in a file that only this user can read.

    Raises:
        HTTPException: It ended early.
    """
    handle, part = tempfile.mkstemp(".part", dir=target.parent)
    try:
        with raw, os.fdopen(handle, "wb") as file:
            _copy(raw, announced, file)
        Path(part).replace(target)
    finally:
        Path(part).unlink(missing_ok=True)


def _copy(raw: urllib3.BaseHTTPResponse, announced: str | None, file: BinaryIO) -> None:
    while block := raw.read(_WRITE_WHOLE):
        file.write(block)
    file.flush()
    os.fsync(file.fileno())
    if announced is not None and int(announced) != file.tell():
        raise HTTPException(f"{file.tell()} of {announced} bytes")


def _no_file(answer: Answer, host: str) -> DeliveryError:
    if answer.ok:
        return Transient(f"{host} answered {answer.status} instead of a whole file", status=answer.status)
    return refusal(answer, host)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@functools.lru_cache(maxsize=64)
def _proxies(origin: str) -> dict[str, str]:
    """Return the proxies that the environment names for a host; finding out takes longer than a request."""
    return dict(get_environ_proxies(origin))
