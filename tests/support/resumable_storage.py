"""Storages that take files in chunks, tus and Google's, as small as can be; a test breaks what it likes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from support.scripted_server import Reply, Request, received

Fault = Callable[[Request], Reply | None]
"""Answers in place of the storage, or leaves it to it with None."""


@dataclass
class TusStorage:
    """A platform whose storage speaks tus.

    Attributes:
        extensions: What it says that it can do.
        fault: Asked first at each request.
        remembers: Whether it tells a client that asks for a place anew where to go on.
        uploads: What arrived, by the number of the upload.
    """

    extensions: str = "creation,checksum,termination"
    fault: Fault = lambda _: None
    remembers: bool = False
    uploads: dict[str, bytearray] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        if (reply := self.fault(request)) is not None:
            return reply
        path, _, query = request.path.partition("?")
        if path == "/files" or path.startswith("/files/"):
            assert query == "signature=s3cret"
            return self._answer(request, path.rpartition("/")[2])
        reply = received(request)
        if path.endswith("/models/upload"):
            base = f"http://{request.headers['host']}/files"
            urls = {"create": f"{base}?signature=s3cret"}
            if self.remembers and self.uploads:
                urls["resume"] = f"{base}/{len(self.uploads)}?signature=s3cret"
            return Reply(body={**reply.body, "uploadPath": f"staging/{len(self.uploads) + 1}", "tus": urls})
        return reply

    def _answer(self, request: Request, number: str) -> Reply:
        if request.method == "OPTIONS":
            names = {"Tus-Version": "1.0.0", "Tus-Extension": self.extensions, "Tus-Checksum-Algorithm": "md5,sha256"}
            return Reply(204, b"", names)
        if request.headers.get("tus-resumable") != "1.0.0":
            return Reply(412, b"")
        if request.method == "POST":
            number = str(len(self.uploads) + 1)
            self.uploads[number], self.lengths[number] = bytearray(), int(request.headers["upload-length"])
            return Reply(201, b"", {"Location": f"/files/{number}?signature=s3cret"})
        if number not in self.uploads:
            return Reply(404, b"")
        if request.method == "DELETE":
            del self.uploads[number]
            return Reply(204, b"")
        return self._append(request, self.uploads[number]) if request.method == "PATCH" else self._tell(number)

    def _tell(self, number: str) -> Reply:
        offset, length = len(self.uploads[number]), self.lengths[number]
        return Reply(200, b"", {"Upload-Offset": str(offset), "Upload-Length": str(length)})

    def _append(self, request: Request, data: bytearray) -> Reply:
        if int(request.headers["upload-offset"]) != len(data):
            return Reply(409, b"")
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        if request.headers.get("upload-checksum", f"sha256 {digest}") != f"sha256 {digest}":
            return Reply(460, b"")
        data += request.body
        return Reply(204, b"", {"Upload-Offset": str(len(data))})


@dataclass
class GcsStorage:
    """A platform whose upload URLs are resumable sessions of Google Cloud Storage.

    Attributes:
        fault: Asked first at each request.
        sessions: What arrived, by session.
        keeps: Bytes of a request that are kept at most, as where its last part was lost.
    """

    fault: Fault = lambda _: None
    sessions: list[bytearray] = field(default_factory=list)
    keeps: int | None = None

    def __call__(self, request: Request) -> Reply:
        if (reply := self.fault(request)) is not None:
            return reply
        if request.method == "PUT":
            number = int(re.search(r"upload_id=s3cret-(\d+)", request.path)[1])  # type: ignore[index]
            return self._put(request, self.sessions[number])
        reply = received(request)
        if request.path.endswith("/models/upload"):
            self.sessions.append(bytearray())
            url = f"http://{request.headers['host']}/storage?upload_id=s3cret-{len(self.sessions) - 1}"
            return Reply(body={**reply.body, "uploadUrl": url})
        return reply

    def _put(self, request: Request, data: bytearray) -> Reply:
        start, size = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", request.headers["content-range"]).groups()  # type: ignore[union-attr]
        if start is not None:
            assert int(start) == len(data)
            data += request.body[: self.keeps]
        if len(data) == int(size):
            md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
            return Reply(200, {"kind": "storage#object", "size": size, "md5Hash": md5})
        return Reply(308, b"", {"Range": f"bytes=0-{len(data) - 1}"} if data else {})
