"""Uploads by tus 1.0, with its extensions creation, checksum and termination (https://tus.io/protocols/resumable-upload).

    OPTIONS create    what the server can do
    POST    create    begins an upload; `Location` is its URL
    HEAD    upload    `Upload-Offset`: how many bytes it has
    PATCH   upload    a chunk, with its checksum where the server takes one
    DELETE  upload    forget it

Both URLs are signed by the server and get no credentials of ours. A server without checksums cannot confirm a chunk's
bytes; one that looks at the whole file's sha256, as the local platform does, checks it when the last byte has arrived.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urljoin

from uploader.errors import DeliveryError, Transient
from uploader.platforms.answers import Answer, host_of, refusal
from uploader.platforms.base import Upload
from uploader.platforms.http.file_body import Chunk
from uploader.platforms.http.transport import Transport
from uploader.platforms.uploads.resumable import OutOfStep, StillBusy
from uploader.platforms.uploads.storage_answers import STORAGE_SECONDS, check_taken

VERSION = "1.0.0"
"""The version of the protocol that is spoken here."""

_VERSION_HEADER = {"Tus-Resumable": VERSION}
_ALGORITHMS = ("sha256", "sha1")  # the protocol asks servers for sha1 at least
_CONFLICT, _LOCKED, _CHECKSUM_MISMATCH = 409, 423, 460
_NO_TUS = frozenset({400, 401, 403, 404, 405, 410, 501})  # to the question itself, with whatever body
_OUT_OF_STEP = frozenset({_CONFLICT, _CHECKSUM_MISMATCH})


@dataclass(frozen=True)
class Offer:
    """What a server can do.

    Attributes:
        creates: Whether it speaks this version, and uploads can be begun.
        algorithm: That of the chunks' checksums; None if it takes none.
        terminates: Whether an upload can be cancelled.
    """

    creates: bool
    algorithm: str | None
    terminates: bool


class TusSession:
    """One upload at one server. Its URL lets whoever has it upload, so it is shown nowhere."""

    def __init__(self, transport: Transport, url: str, offer: Offer) -> None:
        """Prepare; nothing is sent yet.

        Args:
            transport: The connections.
            url: The upload's.
            offer: What the server can do.
        """
        self._transport, self._url, self._offer = transport, url, offer
        self._host = host_of(url)

    def offset(self) -> int:
        """Ask how many bytes the server has.

        Raises:
            StillBusy: It is still handling an earlier request.
            LocationLost: It no longer has the upload.
            DeliveryError: There was no usable answer.
        """
        return self._reported_offset(self._transport.request("HEAD", self._url, headers=_VERSION_HEADER))

    def send(self, offset: int, chunk: Chunk) -> int:
        """Send a chunk.

        Raises:
            OutOfStep: The server took none of it: its offset differs, or other bytes arrived.
            StillBusy: It is still handling an earlier request.
            LocationLost: It no longer has the upload.
            DeliveryError: There was no usable answer.
        """
        headers = {
            **_VERSION_HEADER,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            **_checksum(self._offer.algorithm, chunk),
        }
        return self._reported_offset(
            self._transport.request("PATCH", self._url, headers=headers, body=chunk, answer_seconds=STORAGE_SECONDS)
        )

    def abandon(self) -> None:
        """Tell the server to discard the upload, if it supports that and can be reached."""
        if self._offer.terminates:
            with suppress(DeliveryError):
                self._transport.request("DELETE", self._url, headers=_VERSION_HEADER)

    def _reported_offset(self, answer: Answer) -> int:
        _check(answer, self._host)
        offset = answer.headers.get("Upload-Offset", "")
        if not re.fullmatch(r"[0-9]{1,18}", offset):
            raise Transient(f"{self._host} did not say how much it has", status=answer.status)
        return int(offset)


def begin(transport: Transport, urls: object, upload: Upload) -> tuple[TusSession | None, int | None]:
    """Begin an upload, or resume the one that the platform remembers from an earlier process.

    Args:
        transport: The connections.
        urls: What the platform says of tus: where uploads are begun, as `create`, and where there is one to go on
            with, `resume`.
        upload: The file.

    Returns:
        The upload, or None where tus is not offered; and how many bytes the server has, or None when it must be asked.

    Raises:
        LocationLost: The URL has expired.
        DeliveryError: There was no usable answer.
    """
    if not isinstance(urls, dict) or not isinstance(urls.get("create"), str):
        return None, None
    offer = _ask(transport, urls["create"])
    if not offer.creates:
        return None, None
    if isinstance(urls.get("resume"), str):
        return TusSession(transport, urls["resume"], offer), None
    return _create(transport, urls["create"], upload, offer), 0


def _ask(transport: Transport, url: str) -> Offer:
    """Ask what a server supports; one that does not know tus supports nothing."""
    answer = transport.request("OPTIONS", url, headers=_VERSION_HEADER)
    if (
        not answer.ok
        and answer.status not in _NO_TUS
        and isinstance(later := refusal(answer, host_of(url), speaks_json=False), Transient)
    ):
        raise later
    headers = answer.headers
    extensions = _listed(headers, "Tus-Extension")
    algorithms = _listed(headers, "Tus-Checksum-Algorithm") if "checksum" in extensions else set()
    return Offer(
        creates=VERSION in _listed(headers, "Tus-Version") and "creation" in extensions,
        algorithm=next((name for name in _ALGORITHMS if name in algorithms), None),
        terminates="termination" in extensions,
    )


def _create(transport: Transport, url: str, upload: Upload, offer: Offer) -> TusSession:
    metadata = {"filename": upload.filename, "sha256": upload.sha256}
    headers = {
        **_VERSION_HEADER,
        "Upload-Length": str(upload.size),
        "Upload-Metadata": ",".join(f"{name} {_base64(value.encode())}" for name, value in metadata.items()),
    }
    answer = transport.request("POST", url, headers=headers)
    _check(answer, host_of(url))
    return TusSession(transport, _location(answer, url), offer)


def _location(answer: Answer, url: str) -> str:
    with suppress(ValueError):
        if location := answer.headers.get("Location"):
            return urljoin(url, location)
    raise Transient(f"{host_of(url)} did not say where the upload goes", status=answer.status)


def _check(answer: Answer, host: str) -> None:
    """Raise the error that an answer stands for, unless it is a success."""
    if answer.status == _LOCKED:
        raise StillBusy(f"{host} is still at work on an earlier request ({_LOCKED})", status=_LOCKED)
    if answer.status in _OUT_OF_STEP:
        raise OutOfStep(f"{host} did not take the bytes ({answer.status})", status=answer.status)
    check_taken(answer, host)


def _checksum(algorithm: str | None, chunk: Chunk) -> dict[str, str]:
    return {} if algorithm is None else {"Upload-Checksum": f"{algorithm} {_base64(chunk.digest(algorithm))}"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _listed(headers: Mapping[str, str], name: str) -> set[str]:
    return {item.strip().lower() for item in headers.get(name, "").split(",")}
