"""Servers for the benches, each in its own process: the local platform, a delay before it, one that only answers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

KEY = "ul_bench"
HOST = "127.0.0.1"
_CHUNK = 1 << 16
_ANSWER = b'{"received":true,"modelId":"bench","runId":"bench"}'
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER


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
def delayed(url: str, seconds: float) -> Iterator[str]:
    """Yield a URL at which the server at `url` answers with a delay: each direction takes half of `seconds` longer.

    Unlike in a real network, opening a connection is not delayed.
    """
    target = int(url.rsplit(":", 1)[1])
    with _process(_delay_line, target, seconds / 2) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def answering() -> Iterator[str]:
    """Yield the URL of a server that accepts everything and stores nothing."""
    with _process(_answer_all) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def _process(serve: Callable[..., Any], *arguments: object) -> Iterator[int]:
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


def _delay_line(pipe: Connection, target: int, seconds: float) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await reader.read(_CHUNK):
            loop.call_later(seconds, writer.write, chunk)
        loop.call_later(seconds, writer.close)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, target)
        await asyncio.gather(forward(reader, far_writer), forward(far_reader, writer), return_exceptions=True)

    asyncio.run(_listen(pipe, lambda: asyncio.start_server(accept, HOST, 0)))


class _Answering(asyncio.Protocol):
    """Answers each complete request, and parses nothing but the body's length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (length := self._request_length()) and len(self._received) >= length:
            self._received = self._received[length:]
            self._transport.write(_RESPONSE)

    def _request_length(self) -> int:
        """Return the length of the first request, or 0 while its head is incomplete."""
        head, end, _ = self._received.partition(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length:")
        return len(head) + len(end) + int(rest.split(b"\r\n", 1)[0] or 0) if end else 0


def _answer_all(pipe: Connection) -> None:
    asyncio.run(_listen(pipe, lambda: asyncio.get_running_loop().create_server(_Answering, HOST, 0)))


async def _listen(pipe: Connection, start: Callable[[], Any]) -> None:
    server = await start()
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
