"""Servers for the benches, each in its own process: the local platform, a delay before it, one that only answers."""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

KEY = "ul_bench"
HOST = "127.0.0.1"
_CHUNK = 1 << 16
_CREDIT = 0.02  # seconds that a slow process may make up for
COUNTS = "/counts"
"""Path at which a server that only answers tells how many requests it accepted and refused."""


def _response(answer: object, status: str = "200 OK") -> bytes:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_RESPONSE = _response({"received": True})
_REGISTRATION = b'"training_started"'
_UPLOAD = b"/models/upload "
_LONGEST_LINE = 100  # of a request's first
_REFUSAL = _response({"error": "Too many requests"}, "429 Too Many Requests")


@contextmanager
def local_platform(folder: Path) -> Iterator[str]:
    """Run `uploader serve` and yield its URL."""
    command = [sys.executable, "-m", "uploader", "serve", "--data", str(folder), "--port", "0"]
    environment = {**os.environ, "UPLOADER_SERVE_API_KEY": KEY}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            ready = next((line for line in server.stdout if line.startswith("Serving on")), None)
            if ready is None:
                raise RuntimeError("the local platform did not start")
            yield next(word for word in ready.split() if word.startswith("http"))
        finally:
            server.terminate()


@contextmanager
def delayed(url: str, seconds: float, rate: float = math.inf) -> Iterator[str]:
    """Yield a URL at which the server at `url` answers with a delay: each direction takes half of `seconds` longer.

    Unlike in a real network, opening a connection is not delayed.

    Args:
        url: Of the server.
        seconds: The delay of both directions together.
        rate: So many bytes a second pass in each direction of a connection.
    """
    target = int(url.rsplit(":", 1)[1])
    with process(_delay_line, target, seconds / 2, rate) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def answering(allowed: float = math.inf) -> Iterator[str]:
    """Yield the URL of a server that stores nothing, and accepts everything or so many requests a second."""
    with process(_answer_all, allowed) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def process(serve: Callable[..., Any], *arguments: object) -> Iterator[int]:
    """Run a server, and yield the port that it sends first."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, *arguments), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _delay_line(pipe: Connection, target: int, seconds: float, rate: float) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        while chunk := await reader.read(_CHUNK):
            free_at = max(free_at, loop.time() - _CREDIT) + len(chunk) / rate
            if free_at > loop.time():
                await asyncio.sleep(free_at - loop.time())
            loop.call_later(seconds, writer.write, chunk)
        loop.call_later(seconds, writer.close)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, target)
        await asyncio.gather(forward(reader, far_writer), forward(far_reader, writer), return_exceptions=True)

    asyncio.run(listen(pipe, lambda: asyncio.start_server(accept, HOST, 0)))


class _Bucket:
    """So many requests a second, of which those of one second may come at once."""

    def __init__(self, allowed: float) -> None:
        self.counts = {"accepted": 0, "refused": 0}
        self._allowed = self._tokens = allowed
        self._at = time.monotonic()

    def accepts(self) -> bool:
        """Count a request; return whether it is one of those that are allowed."""
        now = time.monotonic()
        if not math.isinf(self._allowed):
            self._tokens = min(self._allowed, self._tokens + (now - self._at) * self._allowed)
        self._at = now
        is_accepted = self._tokens >= 1
        self._tokens -= is_accepted
        self.counts["accepted" if is_accepted else "refused"] += 1
        return is_accepted


class _Answering(asyncio.Protocol):
    """Answers each complete request, and parses nothing but the body's length."""

    def __init__(self, bucket: _Bucket) -> None:
        self._bucket = bucket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (length := self._request_length()) and len(self._received) >= length:
            is_question = self._received.startswith(b"GET " + COUNTS.encode())
            request, self._received = self._received[:length], self._received[length:]
            self._transport.write(_response(self._bucket.counts) if is_question else self._answer(request))

    def _answer(self, request: bytes) -> bytes:
        if not self._bucket.accepts():
            return _REFUSAL
        number = self._bucket.counts["accepted"]
        if _REGISTRATION in request:  # runs are told apart by what the platform calls them
            name = f"bench-{number}"
            return _response({"received": True, "modelId": name, "runId": name})
        if _UPLOAD in request[:_LONGEST_LINE]:
            host, port = self._transport.get_extra_info("sockname")
            return _response({"uploadUrl": f"http://{host}:{port}/put/{number}", "gcsPath": f"put/{number}"})
        return _RESPONSE

    def _request_length(self) -> int:
        """Return the length of the first request, or 0 while its head is incomplete."""
        head, end, _ = self._received.partition(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length:")
        return len(head) + len(end) + int(rest.split(b"\r\n", 1)[0] or 0) if end else 0


def _answer_all(pipe: Connection, allowed: float) -> None:
    bucket = _Bucket(allowed)
    asyncio.run(listen(pipe, lambda: asyncio.get_running_loop().create_server(lambda: _Answering(bucket), HOST, 0)))


async def listen(pipe: Connection, start: Callable[[], Any]) -> None:
    """Start a server and send its port."""
    server = await start()
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
