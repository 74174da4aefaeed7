"""A server whose answers a test writes, misbehaviour included; real sockets, one thread for each connection."""

from __future__ import annotations

import itertools
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from support.ended_server import EndedServer


class Models:
    """Ids of models: one for each run, the first of them `m-1`."""

    def __init__(self) -> None:
        self._ids: dict[object, str] = {}
        self._lock = threading.Lock()

    def of(self, facts: Any) -> str:
        """Return the id for the run whose uuid is in `environment` or `meta`; without one, all are the same run."""
        with self._lock:
            run = facts.get("uploaderRun") if isinstance(facts, dict) else None
            return self._ids.setdefault(run, f"m-{len(self._ids) + 1}")


@dataclass(frozen=True)
class Request:
    """One request as it arrived.

    Attributes:
        connection: Tells which of them share a connection.
        models: What this server has called each run, by the run's uuid.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    models: Models = field(default_factory=lambda: Models(), repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent back.

    Attributes:
        status: The HTTP status.
        body: A JSON value, or bytes as they are.
        headers: Beyond `Content-Length`.
        cut: Send only so many bytes of the body, then close.
        reset: Send nothing and reset the connection.
        before: Bytes that are sent before all else, such as interim answers.
        raw: Send these bytes, piece by piece for as long as the client takes them, instead of all else; then close.
    """

    status: int = 200
    body: Any = field(default_factory=lambda: {"received": True})
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    before: bytes = b""
    raw: Iterable[bytes] | None = None


_TLS_HANDSHAKE = b"\x16"
Script = Callable[[Request], Reply]


def received(request: Request) -> Reply:
    """Answer as a platform does that has nothing to read: ids for a registration, a place for an upload."""
    if request.method == "PUT":
        return Reply(body=b"")
    if request.method == "GET":
        return Reply(404, {"error": "nothing to read here"})
    content = request.json()
    if request.path.endswith("/models/upload"):
        url = f"http://{request.headers['host']}/storage/{content['filename']}?signature=s3cret"
        return Reply(body={"uploadUrl": url, "gcsPath": f"models/{content['filename']}", "uploadPath": "staging/1"})
    ids: dict[str, Any] = {}
    if content["event"] == "training_started":
        ids = {"modelId": request.models.of(content["data"].get("environment")), "runId": 7}
    return Reply(body={"received": True, "event": content["event"], **ids})


def hearing(event: str) -> tuple[Script, threading.Event]:
    """Return a script that answers as `received` does, and what is set once a message of this event has come."""
    heard = threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "POST" and request.json().get("event") == event:
            heard.set()
        return received(request)

    return script, heard


def hub_received(request: Request) -> Reply:
    """Answer as HUB does that has no models yet: with an id for a new one."""
    if request.method == "GET":
        return Reply(body={"success": True, "message": "done", "data": {"results": [], "total": 0}})
    is_new = request.path == "/v1/models"
    data = {"id": request.models.of(request.json().get("meta"))} if is_new else {"agentId": "agent-1"}
    return Reply(body={"success": True, "message": "done", "data": data})


def in_front_of(url: str) -> Script:
    """Hand each request on to another server, and its answer back."""

    def script(request: Request) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        answer = requests.request(
            request.method, url + request.path, headers=headers, data=request.body, timeout=100, allow_redirects=False
        )
        kept = {name: value for name, value in answer.headers.items() if name.lower() == "content-type"}
        return Reply(answer.status_code, answer.content, kept)

    return script


class ScriptedServer:
    """Answers each request with `script(request)`; `requests` holds what came, in order."""

    def __init__(self, url: str, script: Script) -> None:
        self.url = url
        self.script = script
        self.requests: list[Request] = []
        self.models = Models()

    def bodies(self, path_end: str = "") -> list[Any]:
        """Return the JSON bodies of the POSTs to paths with that end."""
        return [each.json() for each in self.requests if each.method == "POST" and each.path.endswith(path_end)]


@contextmanager
def scripted_server(
    script: Script = received, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """Run a server on loopback for as long as the block lasts; with TLS where a context is given."""
    with _Listener(("127.0.0.1", port), _Connection) as listener:
        scheme = "https" if tls else "http"
        listener.server = ScriptedServer(f"{scheme}://127.0.0.1:{listener.server_address[1]}", script)
        if tls:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield listener.server
        finally:
            listener.shutdown()
            listener.end_connections()
            thread.join()


def in_order(*replies: Reply, then: Script = received) -> Script:
    """Answer the first requests with `replies`, the later ones by `then`."""
    left = list(replies)
    lock = threading.Lock()

    def script(request: Request) -> Reply:
        with lock:
            reply = left.pop(0) if left else None
        return reply or then(request)

    return script


_kept: list[socket.socket] = []


def free_port() -> int:
    """Return a port on which nothing listens.

    It is kept for this process, which may listen there later, as may those that it starts: else the system would soon
    give it to another test.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _kept.append(kept)
    return int(kept.getsockname()[1])


class _Listener(EndedServer):
    allow_reuse_address = True
    request_queue_size = 128
    server: ScriptedServer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.numbers = itertools.count(1)


class _Connection(socketserver.StreamRequestHandler):
    server: _Listener

    def handle(self) -> None:
        self.number = next(self.server.numbers)  # an id() is given again once its object is gone
        while request := self._read():
            self.server.server.requests.append(request)
            if not self._answer(self.server.server.script(request)):
                return

    def _read(self) -> Request | None:
        if self.rfile.peek(1)[:1] == _TLS_HANDSHAKE:  # answered as a server does that speaks plain HTTP only
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return None
        line = self.rfile.readline().decode()
        if not line:
            return None
        method, path, _ = line.split()
        headers = {}
        while header := self.rfile.readline().decode().strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        models = self.server.server.models
        return Request(method, path, headers, body, self.number, models) if len(body) == length else None

    def _answer(self, reply: Reply) -> bool:
        if reply.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply.raw is not None:
            for piece in reply.raw:
                self.connection.sendall(piece)
            return False
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Length": str(len(body)), **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {reply.status} Scripted\r\n{head}\r\n"
        self.wfile.write(reply.before + head.encode() + body[: reply.cut])
        return reply.cut is None
