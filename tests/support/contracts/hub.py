"""HUB, for the contract suite."""

from __future__ import annotations

from typing import Any

from support.contract import KEY, Client
from support.scripted_server import Request, hub_received

from uploader.platforms.base import Platform
from uploader.platforms.http.transport import Transport
from uploader.platforms.hub.client import HubPlatform


def connect(url: str, timeout: float = 30.0, **options: Any) -> Platform:
    """Return a client that waits no longer for the answer to a file than for any other."""
    return HubPlatform(url, KEY, Transport(answer_seconds=timeout, **options), upload_seconds=timeout)


def file_in_form(request: Request) -> bytes | None:
    """Return the file of a multipart form: what is between its headers and the last boundary."""
    kind, _, boundary = request.headers.get("content-type", "").partition("; boundary=")
    if kind != "multipart/form-data":
        return None
    last = request.body.removesuffix(f"\r\n--{boundary}--\r\n".encode()).rpartition(f"--{boundary}\r\n".encode())[2]
    return last.partition(b"\r\n\r\n")[2]


CLIENT = Client(
    connect=connect,
    ids={"modelId": "m-1"},
    answers=hub_received,
    data_of=lambda request: request.json(),
    file_of=file_in_form,
)
