"""Running the local platform: its socket, its thread, and an orderly end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from uploader.server.app import create_app
from uploader.server.limits import LARGEST_HEAD, Limits
from uploader.server.protocol import bounded
from uploader.server.services import Platform, opened

_FINISH_WITHIN = 10  # seconds that requests in flight have to finish once the server is told to stop
_USUAL = Limits()


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        url: Its base URL, without a slash at the end.
        api_key: The key it asks for.
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
    limits: Limits = _USUAL,
    **options: Any,
) -> Iterator[RunningServer]:
    """Run the local platform in a thread of this process for as long as the block lasts.

    It answers when the block begins. At its end requests in flight are finished, and the thread is joined.

    Args:
        data: Folder for everything; made when it does not exist.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        on_exit: Called in the server's thread when it ends, for whatever reason.
        limits: How long it waits, and for how many.
        options: `api_key`, `contract`, `idempotency`, `url_lifetime`, `clock` and `url`, as `services.opened` has them.

    Raises:
        FolderInUseError: Another server works on the folder.
        StoreVersionError: A newer version wrote the folder.
        FolderUnusableError: The folder cannot be used.
        OSError: The address cannot be used.
    """
    with _listening(host, port) as listener, opened(data, **options) as platform:
        server = _server(platform, limits)
        thread = threading.Thread(target=_serve, args=(server, listener, on_exit), name="local-platform")
        thread.start()
        try:
            yield RunningServer(_url(listener), platform.api_key, data)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming TCP lets asyncio see that it is TCP and switch Nagle's algorithm off, which would hold back the body of
    # every answer for 40 ms until the client has acknowledged its headers.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"{host}, port {port}: {reason}. Choose others by --host and --port") from error
        # Listening from here on: who connects before the thread is ready is served when it is.
        listener.listen(1024)
        yield listener


def _server(platform: Platform, limits: Limits) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(platform, limits),
        http=bounded(limits),
        ws="none",
        lifespan="off",
        access_log=False,  # request lines hold the signatures of storage URLs
        log_config=None,  # logging belongs to the program
        log_level="warning",
        server_header=False,
        headers=[("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")],
        h11_max_incomplete_event_size=LARGEST_HEAD,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=_FINISH_WITHIN,
    )
    return uvicorn.Server(config)


def _serve(server: uvicorn.Server, listener: socket.socket, on_exit: Callable[[], None]) -> None:
    try:
        server.run(sockets=[listener])
    finally:
        on_exit()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
