"""The ASGI application: routes, middleware and error handlers for one platform."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from uploader.dashboard import data_routes, page_routes
from uploader.dashboard.dashboard import Dashboard, Streams
from uploader.server import public_address
from uploader.server.api import (
    bodies,
    dataset_endpoints,
    exports,
    hub_endpoints,
    model_edits,
    not_here,
    projects,
    readback,
    storage_endpoints,
    tus_endpoints,
    webhooks,
    witness_endpoints,
)
from uploader.server.api.auth import RejectCrossSite, RequireKey
from uploader.server.api.body_timeout import BodyTimeout
from uploader.server.http_errors import ApiError
from uploader.server.limits import Limits
from uploader.server.local_platform import Platform
from uploader.server.pages import hub_addresses
from uploader.server.pages.store_source import StoreSource
from uploader.server.public_address import StripPrefix


def create_app(platform: Platform, limits: Limits, is_ending: Callable[[], bool] = lambda: False) -> Starlette:
    """Build the application that serves a platform.

    Args:
        platform: The platform.
        limits: Time-outs and the number of connections.
        is_ending: Returns whether the server is about to end.
    """
    app = Starlette(
        routes=[
            *webhooks.routes,
            *hub_endpoints.routes,
            *storage_endpoints.routes,
            *tus_endpoints.routes,
            *readback.routes,
            *witness_endpoints.routes,
            *model_edits.routes,
            *exports.routes,
            *dataset_endpoints.routes,
            *projects.routes,
            *hub_addresses.routes,
            *page_routes.routes,
            *data_routes.routes,
            *not_here.routes,
        ],
        middleware=[
            Middleware(StripPrefix, url=platform.url),
            Middleware(RejectCrossSite),
            Middleware(RequireKey, key=platform.api_key, is_behind_proxy=platform.url is not None),
            Middleware(BodyTimeout, seconds=limits.body),
        ],
        exception_handlers={
            ApiError: bodies.answer_api_error,
            HTTPException: _answer_http_error,
            Exception: bodies.answer_crash,
        },
    )
    app.router.redirect_slashes = False  # which would lead past the prefix that a proxy takes off
    app.state.platform = platform
    app.state.dashboard = Dashboard(
        source=StoreSource(platform),
        prefix=lambda request: public_address.prefix(request, platform.url),
        is_ending=is_ending,
        streams=Streams(limits.streams),
    )
    return app


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer a request that the router refuses: a browser with a page, a program with JSON."""
    assert isinstance(error, HTTPException)
    if page_routes.is_for_a_person(request, error.status_code):
        return page_routes.unknown_page(request)
    return await bodies.answer_http_error(request, error)
