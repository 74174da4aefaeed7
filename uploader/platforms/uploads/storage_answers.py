"""What a storage answers: whether its URL is over, and, as far as it tells, whether it has the bytes it was sent."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from uploader.platforms.answers import Answer, detail, foreign, refusal
from uploader.platforms.base import Upload
from uploader.platforms.uploads.resumable import PlaceHidden, PlaceRefused

STORAGE_SECONDS = 600.0
"""Longest wait for a storage's answer after the last byte: it may be writing a large file."""

_OK = 200  # a page under 201 is a server's that has made the file, as Apache says it
_TOO_LARGE = 413  # of a proxy's page, too: each time will be the same
_EXPIRED = frozenset({400, 401, 403, 404, 410})


def check_taken(answer: Answer, host: str) -> None:
    """Let a success through.

    Args:
        answer: A storage's, to a request without our key.
        host: Who gave it, for messages.

    Raises:
        PlaceRefused: The URL is over: what a storage says with 400, 401, 403, 404 or 410 is about its URL, never about
            our key or the file.
        PlaceHidden: The same, in a page that may be a proxy's.
        DeliveryError: Anything else but a success, of which a page under 200 is none: a sign-in page took no file.
    """
    if answer.status in _EXPIRED or answer.status == _TOO_LARGE:
        kind = PlaceHidden if answer.is_page and answer.status != _TOO_LARGE else PlaceRefused
        raise kind(f"{host} refused the upload's URL with {answer.status}{detail(answer)}", status=answer.status)
    if not answer.ok:
        raise refusal(answer, host, speaks_json=False)
    if answer.status == _OK and answer.is_page:
        raise foreign(answer, host)


def difference(answer: Answer, upload: Upload) -> str | None:
    """Return what the storage says that it has instead of the file, or None.

    Google's tells the length and the MD5 in headers, or in a JSON object at the end of some sessions; the local
    platform the length and the sha256 in its body.

    Args:
        answer: A success.
        upload: The file.
    """
    said = answer.json() or {}
    stored = answer.headers.get("x-goog-stored-content-length", said.get("size", upload.size))
    if str(stored) != str(upload.size):
        return f"{stored} of {upload.size} bytes"
    header = re.search(r"md5=([^,\s]+)", answer.headers.get("x-goog-hash", ""))
    md5 = header[1] if header else said.get("md5Hash")
    same = said.get("sha256", upload.sha256) == upload.sha256 and (md5 is None or md5 == _md5(upload.path))
    return None if same else "other bytes than it was sent"


def _md5(path: Path) -> str:
    """Return a file's MD5 in base 64, as Google's storage tells it."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()
