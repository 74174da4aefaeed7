"""A proxy as companies have it: it connects those who ask by CONNECT, to one place whatever they ask for."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def tunnel_to(port: int, before: bytes = b"") -> Iterator[str]:
    """Run a proxy on loopback that leads everybody to this port of the machine; yield its URL.

    Args:
        port: Where to.
        before: What it sends before it says that it has connected, such as interim answers.
    """
    with _Proxy(("127.0.0.1", 0), _Connection) as proxy:
        proxy.port, proxy.before = port, before
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}"
        finally:
            proxy.shutdown()
            thread.join()


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    port: int
    before: bytes


class _Connection(socketserver.StreamRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        with socket.create_connection(("127.0.0.1", self.server.port)) as there:
            self.wfile.write(self.server.before + b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
