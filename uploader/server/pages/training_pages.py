"""Trainings as HTML: `/` lists them, `/runs/OWNER/PROJECT/MODEL` shows one."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import storage_endpoints
from uploader.server.api.views import ModelSnapshot
from uploader.server.http_errors import NotFound
from uploader.server.local_platform import platform_of
from uploader.server.pages import hub_pages
from uploader.server.pages.markup import element, table
from uploader.server.pages.page_parts import HEADERS, curves, detail_page, details, page, progress, section, status
from uploader.server.rules.models import page_path
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Overview

_STYLE = Path(__file__).parent / "static" / "style.css"
_MAX_RUNS = 500
_CONSOLE_CHUNKS = 100
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def list_runs(request: Request) -> Response:
    """Show the newest trainings, and the newest models of HUB if there are any."""
    platform = platform_of(request)
    with platform.store.read() as rows:
        overviews = rows.overviews(_MAX_RUNS)
        hub = hub_pages.overview(rows.hub, platform.now())
    headings = ["Training", "Status", "Epochs", "Checkpoints", "Started"]
    body = table(headings, [_overview_row(each) for each in overviews]) if overviews else element("p", "None yet.")
    return page(request, "Trainings", element("h1", "Trainings"), body, *hub)


def show_run(request: Request) -> Response:
    """Show one training: its state, charts, checkpoints and the end of its console."""
    with platform_of(request).store.read() as rows:
        model = rows.model_by_slug(*(request.path_params[part] for part in ("owner", "project", "model")))
        if model is None:
            raise NotFound("No such training here: it was never registered, or it was deleted")
        snapshot = ModelSnapshot.of(rows, model, newest_chunks=_CONSOLE_CHUNKS)
    parts = {"Environment": model.environment, "Arguments": model.train_args, "Results": model.results}
    return detail_page(
        request,
        f"{model.owner}/{model.project}/{model.slug}",
        *(
            _state(snapshot),
            curves(snapshot.epochs),
            _checkpoints(request, snapshot.checkpoints),
            _console(snapshot.chunks),
            details(parts),
        ),
        changing=model.status == "running",
    )


def style(_: Request) -> Response:
    """Return the style sheet."""
    return Response(_STYLE.read_bytes(), media_type="text/css", headers=HEADERS)


routes = [
    Route("/", list_runs, methods=["GET"]),
    Route(page_path("{owner}", "{project}", "{model}"), show_run, methods=["GET"]),
    Route("/style.css", style, methods=["GET"]),
]


def _overview_row(overview: Overview) -> list[Element | str]:
    link = element(
        "a",
        f"{overview.owner}/{overview.project}/{overview.slug}",
        href=page_path(overview.owner, overview.project, overview.slug),
    )
    return [
        link,
        status(overview.status),
        progress(overview.epochs_arrived, overview.epochs),
        str(overview.checkpoints),
        overview.started_at,
    ]


def _state(snapshot: ModelSnapshot) -> Element:
    model = snapshot.model
    facts: list[list[Element | str]] = [
        ["Status", status(model.status)],
        ["Epochs", progress(snapshot.epochs_done, model.epochs)],
        ["Started", model.started_at],
        ["Ended", model.completed_at or "—"],
        ["Last change", snapshot.updated_at],
        ["Device", model.device or "—"],
    ]
    if model.error:
        facts.append(["Error", str(model.error.get("message", ""))])
    return element("section", table(["", ""], facts))


def _checkpoints(request: Request, checkpoints: list[Checkpoint]) -> Element:
    platform = platform_of(request)
    rows: list[list[Element | str]] = []
    for each in reversed(checkpoints):
        url = platform.signed_url(request, "GET", storage_endpoints.checkpoint_path(each))
        link = element("a", each.filename, href=url)
        rows.append([link, f"{each.size:,} bytes", element("code", each.sha256), f"run {each.run_id}", each.saved_at])
    return section("Checkpoints", *([table(["File", "Size", "SHA-256", "Run", "Arrived"], rows)] if rows else []))


def _console(chunks: list[ConsoleChunk]) -> Element:
    text = "\n".join(str(each.data.get("content", "")) for each in chunks)
    return section("Console", *([element("pre", _TERMINAL_CODES.sub("", text))] if text else []))
