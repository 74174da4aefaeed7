"""A TCP proxy that cuts connections. It knows no HTTP: a cut falls wherever it falls, and every byte is counted."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from support.ended_server import EndedServer

_BLOCK = 16 * 1024


class Cutter:
    """What is between a client and a server.

    Attributes:
        url: Where the client finds it.
        received: Bytes that clients sent, those after a cut included.
        cuts: Connections that were cut.
        observer: Called at each cut.
    """

    def __init__(self, url: str, upstream: tuple[str, int], cut_at: Iterable[int]) -> None:
        """Prepare.

        Args:
            url: Its own.
            upstream: Host and port of the server.
            cut_at: A connection is cut whenever clients have sent so many bytes in all.
        """
        self.url = url
        self.upstream = upstream
        self.received = 0
        self.cuts = 0
        self.observer: Callable[[], None] = lambda: None
        self._cut_at = sorted(cut_at)
        self._lock = threading.Lock()

    def cuts_after(self, size: int) -> bool:
        """Count bytes that arrived; return whether the connection is cut before they go on."""
        with self._lock:
            self.received += size
            cuts = self.cuts < len(self._cut_at) and self.received > self._cut_at[self.cuts]
            self.cuts += cuts
            return cuts


@contextmanager
def cutting(url: str, cut_at: Iterable[int]) -> Iterator[Cutter]:
    """Run a proxy in front of the server at `url` for as long as the block lasts."""
    target = urlsplit(url)
    with _Listener(("127.0.0.1", 0), _Connection) as listener:
        own = f"http://127.0.0.1:{listener.server_address[1]}"
        listener.cutter = Cutter(own, (str(target.hostname), int(target.port or 80)), cut_at)
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,), name="cutter")
        thread.start()
        try:
            yield listener.cutter
        finally:
            listener.shutdown()
            listener.end_connections()
            thread.join()


class _Listener(EndedServer):
    cutter: Cutter


class _Connection(socketserver.BaseRequestHandler):
    server: _Listener
    request: socket.socket

    def handle(self) -> None:
        with socket.create_connection(self.server.cutter.upstream) as upstream:
            back = threading.Thread(target=_copy, args=(upstream, self.request), name="cutter-answers")
            back.start()
            try:
                self._forward(upstream)
            finally:
                with suppress(OSError):
                    upstream.shutdown(socket.SHUT_RDWR)
                back.join()

    def _forward(self, upstream: socket.socket) -> None:
        while block := self.request.recv(_BLOCK):
            if self.server.cutter.cuts_after(len(block)):
                self._cut(upstream)
                return
            upstream.sendall(block)

    def _cut(self, upstream: socket.socket) -> None:
        """End the server's side. The client's is closed when it has sent all it wants to, so that this is counted."""
        self.server.cutter.observer()
        upstream.shutdown(socket.SHUT_RDWR)
        self.request.shutdown(socket.SHUT_WR)
        while block := self.request.recv(_BLOCK):
            self.server.cutter.received += len(block)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(_BLOCK):
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
