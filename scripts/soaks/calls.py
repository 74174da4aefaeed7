"""The purpose of a request to a platform; the fault suites break different requests in different ways."""

from __future__ import annotations

import json

from soaks.fault_schedule import Call
from soaks.wire import Request

HEARTBEAT = "heartbeat"
"""Label of heartbeat requests."""
HEADS = "heads"
"""Label of requests that tell, or countersign, what a run's proofs stand on."""


def describe(request: Request) -> tuple[Call, str]:
    """Return the purpose of a request, and a label that distinguishes it from others of its round.

    Args:
        request: A request to the API of Ultralytics Platform or of HUB, or to their storage. The body of an upload
            may not have been read.
    """
    length, path = request.headers.get("content-length", "0"), request.path.partition("?")[0]
    if request.method in {"GET", "HEAD"}:
        return "read", path.rpartition("/")[0]
    if path.endswith("/add-checkpoint") or (request.method == "PATCH" and path.startswith("/api/")):
        return "message", HEADS
    if request.method in {"PUT", "PATCH"}:
        return "put", f"{length} bytes from {request.headers.get('upload-offset', '0')}"
    if path.startswith("/v1/"):
        return _hub(path, length, request.body)
    if path.startswith("/storage/") or path.endswith("/models/upload"):
        return "prepare", _named(request.body, "filename") or path.rpartition("/")[2]
    event = _named(request.body, "event")
    return "register" if event == "training_started" else "message", f"{event} {_key(request.body)}"


def _hub(path: str, length: str, body: bytes) -> tuple[Call, str]:
    if path == "/v1/models":
        return "register", "model"
    if path.endswith("/upload"):
        return "form", f"{length} bytes"
    if "/heartbeat/" in path:
        return "message", HEARTBEAT
    return "message", f"metrics {','.join(json.loads(body).get('metrics', {}))}"


def _named(body: bytes, name: str) -> str:
    return str(json.loads(body).get(name, "")) if body else ""


def _key(body: bytes) -> str:
    data = json.loads(body).get("data", {})
    return str(next((data[name] for name in ("epoch", "chunkId") if name in data), ""))
