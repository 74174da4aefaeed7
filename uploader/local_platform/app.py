"""The application: endpoints, the key check and error answers over one platform."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from uploader.local_platform import http, hub, hub_pages, pages, readback, storage, tus, webhooks
from uploader.local_platform.auth import RefuseOtherSites, RequireKey
from uploader.local_platform.errors import ApiError
from uploader.local_platform.limits import Limits
from uploader.local_platform.outside import WithoutPrefix
from uploader.local_platform.pace import PacedBodies
from uploader.local_platform.platform import Platform


def create_app(platform: Platform, limits: Limits) -> Starlette:
    """Build the application that serves a platform."""
    app = Starlette(
        routes=[
            *webhooks.routes,
            *hub.routes,
            *storage.routes,
            *tus.routes,
            *readback.routes,
            *pages.routes,
            *hub_pages.routes,
        ],
        middleware=[
            Middleware(WithoutPrefix, url=platform.url),
            Middleware(RefuseOtherSites),
            Middleware(RequireKey, key=platform.api_key, is_behind_proxy=platform.url is not None),
            Middleware(PacedBodies, within=limits.body),
        ],
        exception_handlers={
            ApiError: http.answer_api_error,
            HTTPException: http.answer_http_error,
            Exception: http.answer_crash,
        },
    )
    app.state.platform = platform
    return app
