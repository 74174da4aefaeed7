"""Resumable sessions of Google Cloud Storage: the upload URL has an `upload_id`.

    PUT, Content-Range: bytes */N      308, Range: bytes=0-LAST: what it has; 200 or 201: all of it
    PUT, Content-Range: bytes A-B/N    a chunk, answered in the same way
    DELETE                             ends the session

A plain signed URL must never be asked so: it could take the question for an empty file.
Source: cloud.google.com/storage/docs/performing-resumable-uploads.
"""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from uploader.errors import DeliveryError, Transient
from uploader.platforms.answers import Answer, host_of
from uploader.platforms.base import Upload
from uploader.platforms.http.file_body import Chunk
from uploader.platforms.http.transport import Transport
from uploader.platforms.uploads.resumable import LocationLost
from uploader.platforms.uploads.storage_answers import STORAGE_SECONDS, check_taken, difference

_INCOMPLETE = 308


def is_session(url: str) -> bool:
    """Return whether an upload URL is one of a resumable session."""
    try:
        return "upload_id" in parse_qs(urlsplit(url).query)
    except ValueError:
        return False


class GcsSession:
    """One session. Its URL lets whoever has it upload, so it is shown nowhere."""

    def __init__(self, transport: Transport, url: str, upload: Upload) -> None:
        """Prepare; nothing is sent yet.

        Args:
            transport: The connections.
            url: The session's.
            upload: The file that it is for.
        """
        self._transport, self._url, self._upload = transport, url, upload
        self._host = host_of(url)

    def offset(self) -> int:
        """Ask how many bytes the server has.

        Raises:
            LocationLost: It no longer has the session, or holds another file.
            DeliveryError: There was no usable answer.
        """
        return self._put("*", b"")

    def send(self, offset: int, chunk: Chunk) -> int:
        """Send a chunk, of which the server may take only the beginning.

        Raises:
            LocationLost: It no longer has the session, or holds another file.
            DeliveryError: There was no usable answer.
        """
        return self._put(f"{offset}-{offset + len(chunk) - 1}", chunk)

    def abandon(self) -> None:
        """Cancel the session, if the server can be reached."""
        with suppress(DeliveryError):
            self._transport.request("DELETE", self._url)

    def _put(self, what: str, body: bytes | Chunk) -> int:
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"bytes {what}/{self._upload.size}"}
        answer = self._transport.request("PUT", self._url, headers=headers, body=body, answer_seconds=STORAGE_SECONDS)
        if answer.status == _INCOMPLETE:
            return self._received(answer)
        check_taken(answer, self._host)
        if (other := difference(answer, self._upload)) is not None:
            raise LocationLost(f"{self._host} stored {other}", status=answer.status)
        return self._upload.size

    def _received(self, answer: Answer) -> int:
        """Return how many bytes an unfinished session has; without a range, none."""
        header = answer.headers.get("Range")
        if header is None:
            return 0
        range_ = re.fullmatch(r"bytes=0-([0-9]{1,18})", header)
        if range_ is None:
            raise Transient(f"{self._host} did not say how much it has", status=answer.status)
        return int(range_[1]) + 1
