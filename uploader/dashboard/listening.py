"""A socket that accepts connections, for whatever serves pages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address as long as the block lasts.

    Args:
        host: Address to listen on.
        port: TCP port; 0 chooses a free one.

    Raises:
        OSError: The address cannot be used; it says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio recognises TCP only if it is named. It then turns off Nagle's algorithm, which would hold back the body of
    # every answer for 40 ms, until the client has acknowledged the headers.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"{host}, port {port}: {reason}. Choose another with --host or --port") from error
        # Clients that connect before the server is ready wait in this queue.
        listener.listen(1024)
        yield listener


def url_of(listener: socket.socket) -> str:
    """Return the address of a listening socket, without a trailing slash."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
