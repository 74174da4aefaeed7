"""A platform and its storage that keep no byte and tell how long an upload took: whole files, by tus, Google's."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Literal

from benches.servers import HOST, listen, process

Kind = Literal["plain", "tus", "GCS"]
TOOK = "/took"
"""Path at which it tells how many seconds the last upload took, from its first request to its last answer."""


@contextmanager
def storing(kind: Kind) -> Iterator[str]:
    """Yield the URL of a platform that has checkpoints uploaded in this way."""
    with process(_store, kind) as port:
        yield f"http://{HOST}:{port}"


class _Upload:
    """The one upload: how much has come, and when."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.offset = self.size = 0
        self.began = self.ended = 0.0

    def answer(self, method: str, path: str, head: str, length: int) -> tuple[str, dict[str, str], object]:
        """Return status, headers and body for a request that has come whole."""
        if path == TOOK:
            return "200 OK", {}, self.ended - self.began
        if path.endswith("/models/upload"):
            host = _header(head, "Host")
            query = "?upload_id=1" if self.kind == "GCS" else ""
            tus = {"tus": {"create": f"http://{host}/tus"}} if self.kind == "tus" else {}
            self.began, self.offset = 0.0, 0
            return "200 OK", {}, {"uploadUrl": f"http://{host}/file{query}", "gcsPath": "models/best.pt", **tus}
        if not path.startswith(("/file", "/tus")):
            return "200 OK", {}, {"received": True, "modelId": "bench", "runId": "bench"}
        self.began, self.ended = self.began or time.monotonic(), time.monotonic()
        return self._stored(method, head, length)

    def _stored(self, method: str, head: str, length: int) -> tuple[str, dict[str, str], object]:
        if method == "OPTIONS":
            can = {"Tus-Version": "1.0.0", "Tus-Extension": "creation,checksum", "Tus-Checksum-Algorithm": "sha256"}
            return "204 No Content", can, None
        if method == "POST":
            return "201 Created", {"Location": "/tus/1"}, None
        self.offset += length
        if self.kind == "GCS" and self.offset < int(_header(head, "Content-Range").rpartition("/")[2]):
            return "308 Resume Incomplete", {"Range": f"bytes=0-{self.offset - 1}"}, None
        return ("204 No Content" if method == "PATCH" else "200 OK"), {"Upload-Offset": str(self.offset)}, None


class _Storing(asyncio.Protocol):
    """Counts the bytes of bodies as they come, and keeps none of those that are stored."""

    def __init__(self, upload: _Upload) -> None:
        self._upload = upload
        self._head, self._buffer, self._left, self._length = "", b"", 0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head:
            self._take(data)
            return
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if end:
            self._head, self._buffer = head.decode("latin-1"), b""
            self._length = self._left = int(_header(self._head, "Content-Length") or 0)
            if " /file" in self._head or " /tus" in self._head:
                self._upload.began = self._upload.began or time.monotonic()
            self._take(rest)

    def _take(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left > 0:
            return
        head, self._head = self._head, ""
        method, path, _ = head.split(" ", 2)
        status, headers, body = self._upload.answer(method, path, head, self._length)
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        if not status.startswith("204"):
            lines.append(f"Content-Length: {len(content)}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + content)


def _header(head: str, name: str) -> str:
    found = re.search(rf"(?im)^{name}: *([^\r\n]*)", head)
    return found[1] if found else ""


def _store(pipe: Connection, kind: Kind) -> None:
    upload = _Upload(kind)
    asyncio.run(listen(pipe, lambda: asyncio.get_running_loop().create_server(lambda: _Storing(upload), HOST, 0)))
