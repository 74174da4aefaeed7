"""A minimal client of tus that sends exactly what a test says."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import requests

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


def create(url: str, size: int, **metadata: str) -> requests.Response:
    """Begin an upload of `size` bytes."""
    pairs = (f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": ",".join(pairs)}
    return requests.post(url, headers=headers, timeout=100)


def begun(url: str, size: int, **metadata: str) -> str:
    """Begin an upload, which must be accepted, and return its URL."""
    answer = create(url, size, **metadata)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def patch(url: str, offset: int, content: Any, **headers: str) -> requests.Response:
    """Send bytes."""
    return requests.patch(url, data=content, headers={**BYTES, "Upload-Offset": str(offset), **headers}, timeout=100)


def head(url: str) -> requests.Response:
    """Request the offset of an upload."""
    return requests.head(url, headers=TUS, timeout=100)


def offset(url: str) -> int:
    """Return the offset of an upload, which must exist."""
    answer = head(url)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["Upload-Offset"])


def checksum(content: bytes, algorithm: str = "sha256") -> dict[str, str]:
    """Return the header with the checksum of bytes."""
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}
