"""A reverse proxy that breaks requests on a schedule. It uses real sockets, with one thread per connection.

It knows HTTP, but nothing about the platform behind it: a function that is passed in tells the purpose of a request.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import BinaryIO
from urllib.parse import urlsplit

from soaks.fault_schedule import Call, Schedule
from soaks.wire import Answer, Request, encode, read_body, read_head

LATE_SECONDS = 0.45
"""How long a late answer takes; the time-out of the client under test is shorter."""
OUTAGE_SECONDS = 0.005

_RESET = struct.pack("ii", 1, 0)
_ANSWERS = {"408": 408, "425": 425, "429": 429, "500": 500, "502": 502, "503": 503, "504": 504, "deleted": 404}
_HEADERS = {
    "429": {"Retry-After": "0", "X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0"},
    "502": {"Content-Type": "text/html"},
    "503": {"Retry-After": "0"},
    "504": {"Content-Type": "text/html"},
}
_EXPIRED = (400, 401, 403, 410)
_WRONG = (b'{"received": tru', b"[]", b'"received"', b"{}", b'{"success": false}', b"\xff\xfe", b"")
_CANCELLED = {"cancelled": True, "reason": "chaos"}
_HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "transfer-encoding"}


Describe = Callable[[Request], tuple[Call, str]]
Witness = Callable[[int, str], None]


class Chaos:
    """A proxy between client and platform.

    Attributes:
        url: Its URL for the client.
        faults: How often each fault happened.
        seen: How often each request arrived, by label.
        requests: How many requests arrived.
        observer: Called with each request's number, and `arrived` or `handled`; it may end the client.
    """

    def __init__(self, upstream: str, describe: Describe, schedule: Schedule, elsewhere: str) -> None:
        """Listen on loopback; `chaos` starts and closes it."""
        self._upstream = urlsplit(upstream).netloc
        self._describe = describe
        self._schedule = schedule
        self._elsewhere = elsewhere
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._forwarding = 0
        self._outage = threading.Event()
        self._closing = threading.Event()
        self._listener = _listen(0)
        self._port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="chaos")
        self.url = f"http://127.0.0.1:{self._port}"
        self.faults: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.requests = 0
        self.observer: Witness = lambda number, phase: None

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def close(self) -> None:
        """Reset open connections, and join all threads."""
        self._closing.set()
        self._thread.join()
        self._reset_all()
        for thread in list(self._open.values()):
            thread.join()

    def wait_until_idle(self) -> None:
        """Wait until all requests of clients that have ended are handled. No client may be running."""
        while self._open:
            time.sleep(0.001)

    def _accept(self) -> None:
        while not self._closing.is_set():
            if self._outage.is_set():
                self._be_away()
            with suppress(TimeoutError, OSError):
                connection, _ = self._listener.accept()
                connection.settimeout(30)
                thread = threading.Thread(target=self._serve, args=(connection,), name="chaos-connection")
                with self._lock:
                    self._open[connection] = thread
                thread.start()
        self._listener.close()

    def _be_away(self) -> None:
        """Accept no connections until the requests in progress are handled."""
        self._listener.close()
        self._reset_all()
        time.sleep(OUTAGE_SECONDS)
        self._let_others_arrive()
        self._outage.clear()
        self._listener = _listen(self._port)

    def _let_others_arrive(self) -> None:
        """Wait until no request to the platform is in progress.

        In these tests a client looks for its registration after milliseconds; a registration that is still in transit
        then is a documented limit.
        """
        while self._forwarding:
            time.sleep(0.001)

    def _reset_all(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    _reset(connection)
                    connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream, suppress(OSError, http.client.HTTPException):
                while head := read_head(stream):
                    if not self._handle(connection, head, stream):
                        return
        finally:
            with self._lock:
                self._open.pop(connection, None)

    def _handle(self, connection: socket.socket, head: Request, stream: BinaryIO) -> bool:
        """Answer one request, or break it; return whether the connection stays open."""
        length, is_file = int(head.headers.get("content-length", 0)), _is_file(head)
        body = b"" if is_file else read_body(stream, length)
        call, label = self._describe(replace(head, body=body))
        if call == "read":
            self._let_others_arrive()
        number, fault = self._next(call, label)
        self.observer(number, "arrived")
        if is_file:
            body = read_body(stream, length // 2 if fault == "reset in the body" else length)
        answer = self._break(replace(head, body=body), number, fault)
        if answer is None:
            _reset(connection)
            return False
        connection.sendall(encode(replace(answer, body=b"") if head.method == "HEAD" else answer))
        return answer.cut is None

    def _next(self, call: Call, label: str) -> tuple[int, str | None]:
        with self._lock:
            self.requests += 1
            self.seen[label] += 1
            fault = self._schedule.fault(call, label, self.seen[label])
            if fault:
                self.faults[fault] += 1
            return self.requests, fault

    def _break(self, request: Request, number: int, fault: str | None) -> Answer | None:
        """Return the answer to a request with a fault, or None to reset the connection."""
        if fault in _UNHANDLED:
            return self._unhandled(request, number, fault)
        sent = request
        if fault in {"torn", "torn and praised"}:
            sent = replace(request, body=request.body[: len(request.body) * 2 // 3])
        answer = self._forward(sent)
        self.observer(number, "handled")
        return _spoil(answer, number, fault)

    def _unhandled(self, request: Request, number: int, fault: str) -> Answer | None:
        if fault == "refused":
            self._outage.set()
        if fault == "reset in the body" and number % 2:
            self._forward_part(request)
        if fault == "sign-in page":
            return Answer(200, {"Content-Type": "text/html"}, b"<html><body>Please sign in</body></html>")
        if fault == "foreign JSON":
            return Answer(200, {"Content-Type": "application/json"}, b'{"status": "ok"}')
        if fault == "redirect":
            return Answer((301, 302, 307, 308)[number % 4], {"Location": self._elsewhere + request.path}, b"")
        if fault == "expired":
            return Answer(_EXPIRED[number % len(_EXPIRED)], {}, b"<Error>ExpiredToken</Error>")
        if fault in _ANSWERS:
            body = b"<html>chaos</html>" if fault in {"502", "504"} else b'{"error": "chaos"}'
            return Answer(_ANSWERS[fault], _HEADERS.get(fault, {}), body)
        return None

    def _forward(self, request: Request) -> Answer:
        with self._counted(), closing(http.client.HTTPConnection(self._upstream, timeout=30)) as upstream:
            headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
            upstream.request(request.method, request.path, request.body, headers)
            got = upstream.getresponse()
            kept = {name: value for name, value in got.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Answer(got.status, kept, got.read())

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._forwarding += 1
        try:
            yield
        finally:
            with self._lock:
                self._forwarding -= 1

    def _forward_part(self, request: Request) -> None:
        """Send the platform a body that ends early."""
        host, _, port = self._upstream.partition(":")
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        with socket.create_connection((host, int(port))) as upstream:
            upstream.sendall(f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body)


_UNHANDLED = {
    "refused",
    "dropped before",
    "reset in the body",
    "sign-in page",
    "foreign JSON",
    "redirect",
    "expired",
    *_ANSWERS,
}


@contextmanager
def chaos(upstream: str, describe: Describe, schedule: Schedule, elsewhere: str) -> Iterator[Chaos]:
    """Run a proxy in front of `upstream` until the block ends.

    Args:
        upstream: The platform's base URL.
        describe: Returns the purpose and the label of a request.
        schedule: Which requests break.
        elsewhere: Base URL that redirects point to.
    """
    running = Chaos(upstream, describe, schedule, elsewhere)
    running.start()
    try:
        yield running
    finally:
        running.close()


class Elsewhere:
    """A host that must never be contacted: a socket that listens but never answers."""

    def __init__(self) -> None:
        """Listen on loopback."""
        self._listener = _listen(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def calls(self) -> list[bytes]:
        """Return the first bytes of each connection."""
        found = []
        self._listener.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    found.append(connection.recv(4096))
        return found


def _is_file(head: Request) -> bool:
    return head.method in {"PUT", "PATCH"} or head.headers.get("content-type", "").startswith("multipart/")


def _listen(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    listener.settimeout(0.01)
    return listener


def _reset(connection: socket.socket) -> None:
    """Make closing the connection reset it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _spoil(answer: Answer, number: int, fault: str | None) -> Answer | None:
    """Return the platform's answer as the fault leaves it."""
    if fault == "dropped after":
        return None
    if fault == "late":
        time.sleep(LATE_SECONDS)
    if fault == "truncated":
        return replace(answer, cut=number % (len(answer.body) + 1))
    if fault in {"500 after", "torn and praised"}:
        return Answer(500 if fault == "500 after" else 200, {}, b"")
    if fault == "wrong JSON":
        return replace(answer, body=_WRONG[number % len(_WRONG)])
    if fault == "cancelled" and answer.status == 200:
        return replace(answer, body=json.dumps({**json.loads(answer.body), **_CANCELLED}).encode())
    return answer
