"""What a storage's answers mean: whether the URL has expired, and whether the right bytes were stored."""

from __future__ import annotations

import base64
import re

from uploader.platforms.answers import Answer, detail, foreign, refusal
from uploader.platforms.base import Upload
from uploader.platforms.http.file_body import BlobReader
from uploader.platforms.uploads.resumable import LocationHidden, LocationRefused

STORAGE_SECONDS = 600.0
"""Longest wait for a storage's answer after the last byte: it may be writing a large file."""

_OK = 200  # a page with 201 is the answer of a server, such as Apache, that has stored the file
TOO_LARGE = 413
"""About the file itself, but another storage, which a new URL may name, may have another limit."""
_EXPIRED = frozenset({400, 401, 403, 404, 410})


def check_taken(answer: Answer, host: str) -> None:
    """Raise the error that a storage's answer stands for, unless it is a success.

    Args:
        answer: The storage's answer to a request without our key.
        host: Who gave it, for messages.

    Raises:
        LocationRefused: The URL has expired: a storage's 400, 401, 403, 404 and 410 concern its URL, never our key or
            the file. Or the file is too large for it.
        LocationHidden: The same, in a page that may be a proxy's.
        DeliveryError: Any other failure, including a page with status 200: a sign-in page has stored nothing.
    """
    if answer.status in _EXPIRED or answer.status == TOO_LARGE:
        kind = LocationHidden if answer.is_page else LocationRefused
        raise kind(f"{host} refused the upload's URL with {answer.status}{detail(answer)}", status=answer.status)
    if not answer.ok:
        raise refusal(answer, host, speaks_json=False)
    if answer.status == _OK and answer.is_page:
        raise foreign(answer, host)


def difference(answer: Answer, upload: Upload) -> str | None:
    """Describe what the storage has instead of the file, by its own account; None if that is right.

    Google's reports length and MD5 in headers, or in a JSON object at the end of some sessions; the local platform
    reports length and sha256 in the body.

    Args:
        answer: A success.
        upload: The file.
    """
    content = answer.json() or {}
    stored = answer.headers.get("x-goog-stored-content-length", content.get("size", upload.size))
    if str(stored) != str(upload.size):
        return f"{stored} of {upload.size} bytes"
    header = re.search(r"md5=([^,\s]+)", answer.headers.get("x-goog-hash", ""))
    md5 = header[1] if header else content.get("md5Hash")
    same = content.get("sha256", upload.sha256) == upload.sha256 and (md5 is None or md5 == _md5(upload))
    return None if same else "other bytes than it was sent"


def _md5(upload: Upload) -> str:
    """Return a file's MD5 in base 64, as Google's storage reports it."""
    with BlobReader(upload.content, upload.size, upload.sha256, lambda _: None) as file:
        return base64.b64encode(file.digest_of_next(upload.size, "md5")).decode()
