"""Running the local platform: its socket, its thread and its shutdown."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from uploader.dashboard.listening import listening, url_of
from uploader.server.app import create_app
from uploader.server.data_folder import opened
from uploader.server.limits import MAX_HEAD_BYTES, Limits
from uploader.server.local_platform import Platform
from uploader.server.protocol import bounded

_SHUTDOWN_SECONDS = 10  # time for requests in flight to finish when the server is stopped
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class RunningServer:
    """A server that accepts requests.

    Attributes:
        url: Its base URL, without a trailing slash.
        api_key: The key that clients must present.
        data: Its data folder.
    """

    url: str
    api_key: str = field(repr=False)
    data: Path


@contextmanager
def running(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_exit: Callable[[], None] = lambda: None,
    limits: Limits = _DEFAULT_LIMITS,
    **options: Any,
) -> Iterator[RunningServer]:
    """Run the local platform in a thread of this process until the block ends.

    It accepts requests when the block begins. At its end, requests in flight are finished and the thread is joined.

    Args:
        data: Folder for everything; created if it does not exist.
        host: Address to listen on.
        port: TCP port; 0 chooses a free one.
        on_exit: Called in the server's thread when the server ends, for whatever reason.
        limits: Time-outs and the number of connections.
        options: `api_key`, `contract`, `idempotency`, `url_lifetime`, `clock` and `url` of `data_folder.opened`.

    Raises:
        FolderInUseError: Another server is using the folder.
        StoreVersionError: The folder was written by a newer version.
        FolderUnusableError: The folder cannot be used.
        OSError: The address cannot be used.
    """
    with listening(host, port) as listener, opened(data, **options) as platform:
        server = _server(platform, limits)
        thread = threading.Thread(target=_serve, args=(server, listener, on_exit), name="local-platform")
        thread.start()
        try:
            yield RunningServer(url_of(listener), platform.api_key, data)
        finally:
            server.should_exit = True
            thread.join()


def _server(platform: Platform, limits: Limits) -> uvicorn.Server:
    server: uvicorn.Server | None = None
    config = uvicorn.Config(
        create_app(platform, limits, is_ending=lambda: server is not None and server.should_exit),
        http=bounded(limits),
        ws="none",
        lifespan="off",
        access_log=False,  # request lines contain the signatures of storage URLs
        log_config=None,  # the program configures logging
        log_level="warning",
        server_header=False,
        headers=[("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")],
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        limit_concurrency=limits.connections + limits.streams,
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    return server


def _serve(server: uvicorn.Server, listener: socket.socket, on_exit: Callable[[], None]) -> None:
    try:
        server.run(sockets=[listener])
    finally:
        on_exit()
