"""HTTP as the platform clients need it: one request, one whole answer, every failure a `DeliveryError`.

Requests go through the connections of `requests` without its session. So there are no cookies, no redirects, and
no credentials but those that are given here: not from `.netrc`, and never to another host. What `requests` does for
each request beyond that takes as long as sending it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import urllib3

from uploader.errors import DeliveryError, FileGone, Refused, SettingsError, Transient
from uploader.platforms.answers import Answer, host_of, refusal
from uploader.platforms.failures import TRANSPORT_ERRORS, classify
from uploader.platforms.http.file_body import Body
from uploader.platforms.http.log_filter import hidden_path, hide_queries
from uploader.platforms.http.reading import pass_on, read, save
from uploader.platforms.http.ways import Connections, Way

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, and for each write to it."""
ANSWER_SECONDS = 60.0
"""Longest wait for an answer's head, and then for each 64 KiB of it, before it is given up on."""
LONGEST_ANSWER = 1024 * 1024
"""Most bytes of an answer that are read, unless a request expects more."""

_WRITE_WHOLE = 64 * 1024  # bytes
_ONCE = urllib3.Retry(0, read=False)
_GONE = frozenset({404, 410})
_WHOLE_FILE = 200  # other successes come with a part of it, or with nothing


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
            answer_seconds: Longest wait for an answer's head, and for each 64 KiB of it, before it is given up on.

        Raises:
            SettingsError: There are no such certificates.
        """
        if ca_bundle and not os.path.exists(ca_bundle):  # noqa: PTH110 - it raises for no path
            raise SettingsError(f"there are no certificates in {ca_bundle}; check REQUESTS_CA_BUNDLE and its like")
        hide_queries()
        self._connections = Connections(connections, ca_bundle)
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
        is_api: bool = False,
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status.

        Args:
            method: The HTTP method.
            url: Absolute.
            headers: Beyond those of the transport itself.
            body: What is sent along.
            answer_seconds: Longest wait for this answer, as in the transport's own `answer_seconds`, the default.
            longest: Of the answer's body, so many bytes are read.
            is_api: Whether the URL is one of the API's own, whose path may be logged; of any other it may be a secret.

        Raises:
            Unreachable: No connection was made.
            UnknownOutcome: The connection broke, or the answer came too slowly, after that.
            Transient: The address cannot be used.
            BlobUnusable: The body could not be read.
        """
        proxy = None
        try:
            way = self._connections.way(url)
            proxy = way.proxy
            with nullcontext() if is_api else hidden_path(way.url):
                response = self._send(method, way, headers or {}, body, answer_seconds)
                return Answer(response.status, response.headers, *read(response, longest))
        except TRANSPORT_ERRORS as error:
            failure = classify(error, host_of(url), proxy)
        raise failure  # outside of the handler: what it handles quotes the URL

    def download(self, url: str, target: Path) -> None:
        """Get a file without credentials; it appears under its name when it is whole and on disk.

        Args:
            url: Absolute; it may hold a signature, which no error shows.
            target: Where to put it, in a folder that exists.

        Raises:
            DeliveryError: There is no such file to be had now.
        """
        self._get(url, lambda raw: save(raw, target))

    def stream(self, url: str, write: Callable[[bytes], object]) -> None:
        """Get a file without credentials, block by block.

        Args:
            url: Absolute; it may hold a signature, which no error shows.
            write: Called with each block; what it has got when an error is raised is a part of the file.

        Raises:
            FileGone: There is no such file.
            DeliveryError: It is not to be had now.
        """
        try:
            self._get(url, lambda raw: pass_on(raw, write))
        except (Refused, Transient) as error:
            if error.status in _GONE:
                why = f"{host_of(url)} answered {error.status}: the file is not there, though the platform names it"
                raise FileGone(why, status=error.status or 0) from None
            raise

    def _get(self, url: str, take: Callable[[urllib3.BaseHTTPResponse], object]) -> None:
        proxy = None
        try:
            way = self._connections.way(url)
            proxy = way.proxy
            with hidden_path(way.url):
                response = self._send("GET", way, {}, None)
            with response:
                if response.status == _WHOLE_FILE and "html" not in response.headers.get("Content-Type", ""):
                    take(response)
                    return
            failure = _no_file(Answer(response.status, response.headers, b""), host_of(url))
        except TRANSPORT_ERRORS as error:
            failure = classify(error, host_of(url), proxy)
        raise failure  # outside of the handler: what it handles quotes the URL

    def _send(
        self,
        method: str,
        way: Way,
        headers: Mapping[str, str],
        body: bytes | Body | None,
        answer_seconds: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        length = {} if method == "GET" else {"Content-Length": str(len(body or b""))}
        return way.pool.urlopen(
            method,
            way.target,
            body=_in_blocks(body),
            headers={**headers, **length},
            timeout=urllib3.Timeout(connect=self._connect_seconds, read=answer_seconds or self._answer_seconds),
            retries=_ONCE,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()


def _in_blocks(body: bytes | Body | None) -> bytes | io.BytesIO | Body | None:
    """Make a large body go out block by block: the timeout applies to each write, and a slow link needs many."""
    if not body:
        return None  # an empty stream would go out chunked, which storages refuse
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _WRITE_WHOLE else body


def _no_file(answer: Answer, host: str) -> DeliveryError:
    if answer.ok:
        return Transient(f"{host} answered {answer.status} without a whole file", status=answer.status)
    return refusal(answer, host)
