"""A server with the shapes of the platform's public SDK, and nothing else, in front of a local platform.

Answers hold the fields of the SDK's own types only, and numbers of the kinds that these name. Requests lose what is
ours: idempotency keys, the order of messages, digests. Files go to the local platform directly, as to a storage.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import threading
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

_OURS = frozenset({"idempotency-key", "uploader-order", "host", "content-length", "connection", "accept-encoding"})
_SHAPES = {
    ("POST", r"/api/webhooks/training/metrics"): "TrainingMetricsResponse",
    ("POST", r"/api/webhooks/models/upload"): "ModelsUploadCheckpointResponse",
    ("GET", r"/api/account/summary"): "AccountSummaryResponse",
    ("GET", r"/api/models/[^/]+/[^/]+"): "ModelsListResponse",
    ("GET", r"/api/models/[^/]+/[^/]+/[^/]+"): "ModelsRetrieveResponseVariant1",
    ("PATCH", r"/api/models/[^/]+/[^/]+/[^/]+"): "ModelsUpdateResponseVariant1",
    ("GET", r"/api/models/[^/]+/[^/]+/[^/]+/files"): "ModelsFilesResponse",
    ("GET", r"/api/models/[^/]+/[^/]+/[^/]+/exports"): "ExportsListResponse",
    ("POST", r"/api/models/[^/]+/[^/]+/[^/]+/exports"): "ExportsCreateResponse",
    ("POST", r"/api/datasets"): "DatasetsCreateResponse",
    ("GET", r"/api/datasets/[^/]+/[^/]+"): "DatasetsRetrieveResponse",
    ("PATCH", r"/api/datasets/[^/]+/[^/]+"): "DatasetsUpdateResponse",
    ("POST", r"/api/datasets/[^/]+/[^/]+/ingest"): "DatasetsIngestResponse",
    ("POST", r"/api/datasets/[^/]+/[^/]+/export"): "DatasetsCreateExportResponse",
    ("POST", r"/api/upload/signed-url"): "UploadSignedUrlResponse",
}
Alter = Callable[[str, dict[str, Any]], dict[str, Any]]


class PublicPlatform:
    """Where it is, and what it does to answers.

    Attributes:
        url: Its base URL.
        alter: Changes an answer of the SDK's shape once more, by the name of its type.
        asked: Method and path of each request.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.alter: Alter = lambda _, answer: answer
        self.asked: list[tuple[str, str]] = []


@contextmanager
def public_platform(behind: str) -> Iterator[PublicPlatform]:
    """Serve what the local platform at `behind` has in the SDK's shapes, until the block ends."""
    types = importlib.import_module("ultralytics_platform.types")  # the SDK needs Python 3.11

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on("GET", None)

        def do_POST(self) -> None:
            self._pass_on("POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def do_PATCH(self) -> None:
            self._pass_on("PATCH", self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass_on(self, method: str, body: bytes | None) -> None:
            public.asked.append((method, self.path))
            path = self.path.partition("?")[0]
            kind = next(
                (name for (verb, at), name in _SHAPES.items() if verb == method and re.fullmatch(at, path)), None
            )
            if kind is None:
                self._answer(404, b'{"error": "Not found"}')
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OURS}
            sent = None if body is None else json.dumps(_without_ours(json.loads(body))).encode()
            answer = requests.request(method, behind + self.path, headers=headers, data=sent, timeout=30)
            content = answer.content
            if answer.ok:
                shaped_answer = shaped(answer.json(), getattr(types, kind))
                content = json.dumps(public.alter(kind, shaped_answer)).encode()
            self._answer(answer.status_code, content)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # who asked may have given up
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    public = PublicPlatform(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield public
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _without_ours(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"sha256"}}


_hints = functools.cache(typing.get_type_hints)


def shaped(value: Any, shape: Any) -> Any:
    """Return of a value what its type has."""
    if typing.is_typeddict(shape):
        hints = _hints(shape)
        named = {name: hint for name, hint in hints.items() if name in value}
        return {name: shaped(value[name], hint) for name, hint in named.items()}
    parts = typing.get_args(shape)
    if typing.get_origin(shape) is list and isinstance(value, list):
        return [shaped(each, parts[0]) for each in value]
    if typing.get_origin(shape) is dict and isinstance(value, dict):
        return {name: shaped(each, parts[1]) for name, each in value.items() if each is not None or parts[1] is Any}
    if shape is float and isinstance(value, int):
        return float(value)
    return value
