"""A TCP proxy before a PostgreSQL server, which cuts the first connection at its first message, the next at its second.

So a client that connects again and again meets a cut at each of its messages. Every other cut comes when the server has
had the message, and its answer is lost.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from support.ended_server import EndedServer

_BLOCK = 64 * 1024  # what a client sends at once is one message to it, however many the protocol makes of that


@contextmanager
def cut_at_each_message(url: str, most_cuts: int) -> Iterator[PostgresProxy]:
    """Run a proxy before the server of a shared journal for as long as the block lasts.

    Args:
        url: The shared journal's, whose server listens at a socket of this machine.
        most_cuts: How many connections are cut; later ones are not.
    """
    parts = urlsplit(url)
    [folder] = parse_qs(parts.query)["host"]
    with PostgresProxy(f"{folder}/.s.PGSQL.5432", most_cuts) as proxy:
        host, port = proxy.server_address[:2]
        proxy.url = f"postgresql://{parts.username}@{host!s}:{port}{parts.path}?sslmode=disable&gssencmode=disable"
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), name="postgres-proxy")
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            proxy.end_connections()
            thread.join()


class PostgresProxy(EndedServer):
    """What is between a client and a PostgreSQL server.

    Attributes:
        url: The shared journal, by way of it.
        cuts: How many connections were cut.
    """

    url: str

    def __init__(self, server_socket: str, most_cuts: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.server_socket = server_socket
        self.cuts = 0
        self._most_cuts = most_cuts
        self._connections = 0
        self._lock = threading.Lock()

    def cut_at(self) -> int | None:
        """Return the number of the message at which a new connection is cut; None for one that is not."""
        with self._lock:
            self._connections += 1
            return self._connections if self._connections <= self._most_cuts else None


class _Connection(socketserver.BaseRequestHandler):
    server: PostgresProxy
    request: socket.socket

    def handle(self) -> None:
        cut_at = self.server.cut_at()
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(self.server.server_socket)
            back = threading.Thread(target=_answer, args=(upstream, self.request), name="postgres-proxy-answers")
            back.start()
            try:
                self._forward(upstream, cut_at)
            finally:
                with suppress(OSError):
                    upstream.shutdown(socket.SHUT_WR)
                back.join()  # the server does what it was told before it notices that nobody is there

    def _forward(self, upstream: socket.socket, cut_at: int | None) -> None:
        number = 0
        while block := self.request.recv(_BLOCK):
            number += 1
            if number != cut_at:
                upstream.sendall(block)
                continue
            self.server.cuts += 1
            self.request.shutdown(socket.SHUT_RDWR)
            if number % 2:
                upstream.sendall(block)
            return


def _answer(upstream: socket.socket, client: socket.socket) -> None:
    while block := upstream.recv(_BLOCK):
        with suppress(OSError):
            client.sendall(block)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
