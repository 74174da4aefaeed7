"""Answers with a deadline.

The library's timeout applies to each packet: a server that sends a byte now and then, or endless `100 Continue`, would
block a thread forever. Here the timeout applies to the whole head of an answer, and then to each `LEAST` bytes of its
body. What merely keeps the connection busy, such as endless trailers, does not extend it.

Neither do interim answers such as `103 Early Hints`, any number of which may precede the answer (RFC 9110, 15.2). They
are skipped; the library skips `100 Continue` only.
"""

from __future__ import annotations

import functools
import io
import socket
import time
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LEAST = 64 * 1024
"""Bytes of a body that must arrive within one timeout, if it has that many."""
MOST_INTERIM = 100
"""How many interim answers are skipped; a server that sends more is taken to have no other."""

_SWITCHING_PROTOCOLS = 101  # nothing follows it; nobody here asks for that


class DeadlineAdapter(HTTPAdapter):
    """Sends requests as the library does, through proxies, too, and limits the wait for answers."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections to hosts."""
        super().init_poolmanager(*args, **options)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the connections through a proxy; the answers of the proxy itself are bounded, too."""
        manager = super().proxy_manager_for(proxy, **options)
        _bound(manager)
        return manager


class DeadlineResponse(HTTPResponse):
    """An answer that must arrive within the timeout that its socket has when the answer begins."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._source = _Source(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._source)

    def _read_status(self) -> tuple[str, int, str]:
        """Return the status line of the final answer; a proxy's answer to CONNECT is read by this, too."""
        for _ in range(MOST_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # known to no stub
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("only interim answers came")

    def read(self, amt: int | None = None) -> bytes:
        """Return bytes of the body; enough of them extend the deadline."""
        data = super().read(amt)
        self._source.came(len(data))
        return data


class _Source(io.RawIOBase):
    """A socket's bytes, until the deadline.

    Args:
        raw: Where they come from.
        sock: The socket below; its timeout is the longest wait in all.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._within = sock.gettimeout()
        self._came = 0
        self._renew()

    def _renew(self) -> None:
        self._until = time.monotonic() + (self._within or 0.0)

    def came(self, size: int) -> None:
        """Count bytes of the body."""
        self._came += size
        if self._came >= LEAST:
            self._came = 0
            self._renew()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._within is None:
            return self._raw.readinto(buffer)
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        if left > 0.9 * self._within:  # as good as the timeout that is set; setting it takes a call of the system
            return self._raw.readinto(buffer)
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(self._within)

    def close(self) -> None:
        super().close()
        self._raw.close()


def _bound(manager: Any) -> None:
    """Make all new connections of a pool manager observe the deadline."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _with_deadline(pool) for scheme, pool in pools.items()}


@functools.cache
def _with_deadline(pool: Any) -> Any:
    connection = pool.ConnectionCls
    if connection.response_class is DeadlineResponse:
        return pool
    own = type(connection.__name__, (connection,), {"response_class": DeadlineResponse})
    return type(pool.__name__, (pool,), {"ConnectionCls": own})
