"""The addresses of HUB's models that clients print: they lead to the pages."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from uploader.server import public_address
from uploader.server.http_errors import NotFound
from uploader.server.local_platform import platform_of
from uploader.server.pages.hub_runs import PREFIX


def lead_to_page(request: Request) -> Response:
    """Redirect to a model's page."""
    platform, model_id = platform_of(request), request.path_params["model"]
    with platform.store.read() as rows:
        if rows.hub.model(model_id) is None:
            raise NotFound("No such model here: it was never created, or it was deleted")
    prefix = public_address.prefix(request, platform.url)
    return RedirectResponse(f"{prefix}/runs/{PREFIX}{quote(model_id, safe='')}", status_code=302)


routes = [
    Route("/hub/{model}", lead_to_page, methods=["GET"]),
    Route("/models/{model}", lead_to_page, methods=["GET"]),  # as in HUB's model URLs: {ULTRALYTICS_HUB_WEB}/models/ID
]
