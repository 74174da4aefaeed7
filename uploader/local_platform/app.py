"""The application: endpoints, the key check and error answers over one platform."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from uploader.local_platform import http, hub, pages, readback, storage, webhooks
from uploader.local_platform.auth import RequireKey
from uploader.local_platform.errors import ApiError
from uploader.local_platform.platform import Platform


def create_app(platform: Platform) -> Starlette:
    """Build the application that serves a platform."""
    app = Starlette(
        routes=[*webhooks.routes, *hub.routes, *storage.routes, *readback.routes, *pages.routes],
        middleware=[Middleware(RequireKey, key=platform.api_key)],
        exception_handlers={
            ApiError: http.answer_api_error,
            HTTPException: http.answer_http_error,
            Exception: http.answer_crash,
        },
    )
    app.state.platform = platform
    return app
