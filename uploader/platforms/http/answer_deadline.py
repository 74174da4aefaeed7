"""Answers that must keep coming.

The library's time-out is for each packet: a server that sends a byte now and then, or `100 Continue` for ever, would
hold a thread for ever. Here a time-out is for the whole head of an answer, and then for each `LEAST` bytes of its body;
what only keeps the connection busy, such as trailers without end, buys no time.

Nor do interim answers, such as `103 Early Hints`: any number of them may come before the answer itself (RFC 9110,
15.2), and they are passed over. The library does so with `100 Continue` alone.
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
"""Bytes of a body that must be read within one time-out, if it has so many."""
MOST_INTERIM = 100
"""So many interim answers are passed over; a server that sends more has none of another kind."""

_SWITCHING_PROTOCOLS = 101  # nothing follows it; nobody here asks for that


class PatientAdapter(HTTPAdapter):
    """Sends requests as the library does, also through proxies, and bounds the wait for their answers."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections to hosts."""
        super().init_poolmanager(*args, **options)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the connections through a proxy; the answers of the proxy itself are bounded, too."""
        manager = super().proxy_manager_for(proxy, **options)
        _bound(manager)
        return manager


class PatientResponse(HTTPResponse):
    """An answer that is read within the time-out that its socket has when the answer is begun."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._source = _Source(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._source)

    def _read_status(self) -> tuple[str, int, str]:
        """Return the first line of the answer itself; a proxy's answer to CONNECT is read by way of this, too."""
        for _ in range(MOST_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # known to no stub
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("only interim answers came")

    def read(self, amt: int | None = None) -> bytes:
        """Return bytes of the body; they buy time for the next ones."""
        data = super().read(amt)
        self._source.came(len(data))
        return data


class _Source(io.RawIOBase):
    """A socket's bytes, until the time is over.

    Args:
        raw: Where they come from.
        sock: The same as a socket; its time-out is how long a wait may be in all.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._within = sock.gettimeout()
        self._came = 0
        self._renew()

    def _renew(self) -> None:
        self._until = time.monotonic() + (self._within or 0.0)

    def came(self, size: int) -> None:
        """Take note of bytes of the body."""
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
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(self._within)

    def close(self) -> None:
        super().close()
        self._raw.close()


def _bound(manager: Any) -> None:
    """Have all new connections of a pool manager made with patience."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _patient(pool) for scheme, pool in pools.items()}


@functools.cache
def _patient(pool: Any) -> Any:
    connection = pool.ConnectionCls
    if connection.response_class is PatientResponse:
        return pool
    own = type(connection.__name__, (connection,), {"response_class": PatientResponse})
    return type(pool.__name__, (pool,), {"ConnectionCls": own})
