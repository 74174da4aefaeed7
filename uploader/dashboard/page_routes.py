"""The pages: HTML around the scripts that fill them, and the files that they load."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from uploader.dashboard.asset_files import AssetFiles
from uploader.dashboard.dashboard import dashboard_of
from uploader.dashboard.page_templates import rendered
from uploader.dashboard.run_source import SourceUnavailable

HEADERS = {
    # Only our own files, and images that stand in the page, are allowed, so markup smuggled in by a payload could not
    # run, load or send anything.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}


def list_page(request: Request) -> Response:
    """Return the page that lists runs."""
    return _page(request, "runs.html", "Runs")


def run_page(request: Request) -> Response:
    """Return the page of a run; with 404 where there is none."""
    key = request.path_params["key"]
    try:
        is_there = dashboard_of(request).source.has(key)
    except SourceUnavailable:
        is_there = True  # the page's script is told why nothing is shown
    return _page(request, "run.html", key, key=key, is_there=is_there, status=200 if is_there else 404)


def compare_page(request: Request) -> Response:
    """Return the page that compares runs; which ones stands in its address."""
    return _page(request, "compare.html", "Compare")


def is_for_a_person(request: Request, status: int) -> bool:
    """Return whether a browser that shows a page is to be told of an unknown path, rather than a program."""
    path = request.scope["path"]
    is_page = not path.startswith(("/api/", "/data/", "/storage/", "/v1/"))
    return status == 404 and is_page and "text/html" in request.headers.get("accept", "")


def unknown_page(request: Request) -> Response:
    """Return the page for a path that there is not."""
    return _page(request, "unknown.html", "Not found", status=404)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer a request that the router refuses: an unknown path or method."""
    assert isinstance(error, HTTPException)
    if is_for_a_person(request, error.status_code):
        return unknown_page(request)
    return PlainTextResponse(error.detail, error.status_code, error.headers)


routes = [
    Route("/", list_page, methods=["GET"]),
    Route("/compare", compare_page, methods=["GET"]),
    Route("/runs/{key:path}", run_page, methods=["GET"]),
    Mount("/assets", AssetFiles()),
]


def _page(request: Request, template: str, title: str, *, status: int = 200, **values: object) -> Response:
    dashboard = dashboard_of(request)
    shared = {"title": title, "prefix": dashboard.prefix(request), "source": dashboard.source.title}
    text = rendered(template, **shared, **values)
    return Response(text.encode("utf-8", "replace"), status, HEADERS, "text/html")
