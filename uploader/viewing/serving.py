"""Serving a source's pages on this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from uploader.dashboard import asset_files, data_routes, page_routes, page_templates
from uploader.dashboard.dashboard import Dashboard
from uploader.dashboard.listening import listening, url_of
from uploader.dashboard.run_source import RunSource
from uploader.viewing.token_gate import PARAMETER, TokenGate

HOST = "127.0.0.1"
_HOSTS = (HOST, "localhost")
_SHUTDOWN_SECONDS = 5


@contextmanager
def serving(source: RunSource, token: str, port: int = 0, on_exit: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Serve a source's pages in a thread of this process until the block ends; yield the address to open.

    Args:
        source: Who knows the runs.
        token: Without it nobody is shown anything.
        port: TCP port; 0 chooses a free one.
        on_exit: Called in the server's thread when it ends, for whatever reason.

    Raises:
        OSError: The port cannot be used.
    """
    with listening(HOST, port) as listener:
        app = _app(token, f"uploader-view-{listener.getsockname()[1]}")
        config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            access_log=False,  # the first request has the token
            log_config=None,
            log_level="warning",
            server_header=False,
            headers=[("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")],
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        server = uvicorn.Server(config)
        app.state.dashboard = Dashboard(source, is_ending=lambda: server.should_exit)
        thread = threading.Thread(target=_serve, args=(partial(server.serve, [listener]), on_exit), name="view")
        thread.start()
        try:
            yield f"{url_of(listener)}/?{PARAMETER}={token}"
        finally:
            server.should_exit = True
            thread.join()


def prepare_pages() -> None:
    """Make what pages are made of; a browser that is started meanwhile finds it ready."""
    page_templates.prepare()
    asset_files.prepare()


def _app(token: str, cookie: str) -> Starlette:
    return Starlette(
        routes=[*page_routes.routes, *data_routes.routes],
        exception_handlers={HTTPException: page_routes.answer_http_error},
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(_HOSTS)),
            Middleware(TokenGate, token=token, cookie=cookie),
        ],
    )


def _serve(serve: Callable[[], Coroutine[None, None, None]], on_exit: Callable[[], None]) -> None:
    try:
        asyncio.run(serve())
    finally:
        on_exit()
