"""Running the local platform: its socket, its thread, and an orderly end."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from uploader.local_platform.app import create_app
from uploader.local_platform.secret_files import read_or_make

KEY_FILE = "api-key"
"""Name, in the data folder, of the file that keeps a key which was made here."""


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Attributes:
        url: Its base URL, without a slash at the end.
        api_key: The key it asks for.
        data: Its data folder.
    """

    url: str
    api_key: str
    data: Path


@contextmanager
def running(
    data: Path,
    *,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    on_exit: Callable[[], None] = lambda: None,
    **options: Any,
) -> Iterator[RunningServer]:
    """Run the local platform in a thread of this process for as long as the block lasts.

    It answers when the block begins. At its end requests in flight are finished, and the thread is joined.

    Args:
        data: Folder for everything; made when it does not exist.
        api_key: Key to ask for; by default the one kept in the folder, made on first use.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        on_exit: Called in the server's thread when it ends, for whatever reason.
        options: Passed to `create_app`.

    Raises:
        OSError: The address cannot be used, or the folder cannot be written.
        StoreVersionError: The folder was written by a newer version.
    """
    listener = _listen(host, port)
    with listener:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = api_key or kept_key(data)
        server = _server(create_app(data, api_key=key, **options))
        thread = threading.Thread(target=_serve, args=(server, listener, on_exit), name="local-platform")
        thread.start()
        try:
            yield RunningServer(_url(listener), key, data)
        finally:
            server.should_exit = True
            thread.join()


def kept_key(data: Path) -> str:
    """Return the key kept in a data folder; the first call makes it."""
    return read_or_make(data / KEY_FILE, lambda: f"ul_{secrets.token_hex(20)}")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming TCP lets asyncio see that it is TCP and switch Nagle's algorithm off, which would hold back the body of
    # every answer for 40 ms until the client has acknowledged its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Listening from here on: who connects before the thread is ready is served when it is.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _server(app: Starlette) -> uvicorn.Server:
    # No access log: request lines hold the signatures of storage URLs.
    config = uvicorn.Config(
        app, access_log=False, log_level="warning", server_header=False, timeout_graceful_shutdown=10
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
