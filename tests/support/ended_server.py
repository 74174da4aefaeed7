"""A server whose connections can all be ended, also those whose threads have not begun yet."""

from __future__ import annotations

import socket
import socketserver
from contextlib import suppress
from typing import Any


class EndedServer(socketserver.ThreadingTCPServer):
    """Knows its connections from the moment when they are accepted, and waits for their threads when it closes."""

    daemon_threads = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection before its thread runs: one that is ended meanwhile ends it, too."""
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients and servers that go away are part of the tests."""
