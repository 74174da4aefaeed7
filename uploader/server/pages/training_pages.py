"""Trainings as HTML: `/` lists them, `/runs/OWNER/PROJECT/MODEL` shows one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import storage_endpoints, views
from uploader.server.api.views import ModelSnapshot
from uploader.server.http_errors import NotFound
from uploader.server.local_platform import platform_of
from uploader.server.pages import hub_pages
from uploader.server.pages.markup import element, table
from uploader.server.pages.media_section import media_section, values_section
from uploader.server.pages.page_parts import (
    HEADERS,
    clock,
    curves,
    detail_page,
    details,
    duration,
    page,
    progress,
    section,
    status,
)
from uploader.server.rules import training_state as rules
from uploader.server.rules.models import page_path
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Model, Overview

_STYLE = Path(__file__).parent / "static" / "style.css"
_MAX_RUNS = 500
_CONSOLE_CHUNKS = 100
_EPOCHS = 1000
_MEDIA = 24
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def list_runs(request: Request) -> Response:
    """Show the newest trainings, and the newest models of HUB if there are any."""
    platform = platform_of(request)
    now = platform.now()
    with platform.store.read() as rows:
        overviews = [_overview_row(each, *views.reached(rows, each), now) for each in rows.overviews(_MAX_RUNS)]
        hub = hub_pages.overview(rows.hub, now)
    headings = ["Training", "Status", "Epochs", "Checkpoints", "Started", "Took", "Arrived"]
    body = table(headings, overviews) if overviews else element("p", "None yet.")
    return page(request, "Trainings", element("h1", "Trainings"), body, *hub)


def show_run(request: Request) -> Response:
    """Show one training: its state, charts, checkpoints and the end of its console."""
    platform = platform_of(request)
    now = platform.now()
    with platform.store.read() as rows:
        model = rows.model_by_slug(*(request.path_params[part] for part in ("owner", "project", "model")))
        if model is None:
            raise NotFound("No such training here: it was never registered, or it was deleted")
        snapshot = ModelSnapshot.of(rows, model, newest_chunks=_CONSOLE_CHUNKS)
        formats = [each.format for each in rows.exports.of(model.id)]
        media, more = rows.media(model.id, _MEDIA), rows.count_media(model.id) - _MEDIA
    parts = {"Environment": model.environment, "Arguments": model.train_args, "Results": model.results}
    return detail_page(
        request,
        f"{model.owner}/{model.project}/{model.slug}",
        *(
            _state(snapshot, now),
            _said(model, formats),
            curves(snapshot.epochs),
            *media_section(media, more),
            _epochs(snapshot),
            *values_section(snapshot.epochs),
            _checkpoints(request, snapshot.checkpoints),
            _console(snapshot.chunks),
            details(parts),
        ),
        changing=snapshot.state(now) == "running",
    )


def style(_: Request) -> Response:
    """Return the style sheet."""
    return Response(_STYLE.read_bytes(), media_type="text/css", headers=HEADERS)


routes = [
    Route("/", list_runs, methods=["GET"]),
    Route(page_path("{owner}", "{project}", "{model}"), show_run, methods=["GET"]),
    Route("/style.css", style, methods=["GET"]),
]


def _overview_row(overview: Overview, done: int, checkpoints: int, now: str) -> list[Element | str]:
    link = element(
        "a",
        f"{overview.owner}/{overview.project}/{overview.slug}",
        href=page_path(overview.owner, overview.project, overview.slug),
    )
    return [
        link,
        status(rules.state(overview, done, now)),
        progress(done, overview.epochs),
        str(checkpoints),
        clock(overview.started_at),
        duration(rules.milliseconds_of(overview)),
        clock(overview.created_at),
    ]


def _state(snapshot: ModelSnapshot, now: str) -> Element:
    model, state, done = snapshot.model, snapshot.state(now), len(snapshot.trained)
    known = [each for each in snapshot.took.values() if each is not None]
    starts = sorted({each.started_at for each in snapshot.runs} or {model.started_at})
    resumed = [clock(each) for each in starts[1:]]
    facts: list[tuple[str, Element | str | None]] = [
        ("Status", status(state)),
        ("Why", _why(model, state)),
        ("Epochs", progress(done, model.epochs)),
        ("Started", clock(starts[0])),
        ("Resumed", ", ".join(resumed) or None),
        ("Ended", clock(model.completed_at) if model.completed_at else "—"),
        ("Last heard of", None if model.completed_at else clock(rules.heard_at(model))),
        ("Took", duration(rules.milliseconds_of(model)) + (" since it was resumed" if resumed else "")),
        ("An epoch took", duration(sum(known) / len(known)) if known else "—"),
        ("Arrived", f"{clock(model.created_at)} to {clock(snapshot.updated_at)}"),
        ("Device", model.device or "—"),
    ]
    return element("section", table(["", ""], [[name, value] for name, value in facts if value is not None]))


def _said(model: Model, formats: Sequence[str]) -> Element:
    """Return what people say of a model, and the formats into which they want it converted."""
    properties, tags = model.properties or {}, (model.metadata or {}).get("tags")
    facts = {
        "Description": properties.get("description"),
        "Licence": properties.get("license"),
        "Tags": ", ".join(map(str, tags)) if isinstance(tags, list) else None,
        "Conversions ordered": ", ".join(dict.fromkeys(formats)),
    }
    rows: list[list[Element | str]] = [[name, str(value)] for name, value in facts.items() if value]
    return element("section", *([table(["", ""], rows)] if rows else []))


def _why(model: Model, state: rules.State) -> str | None:
    if model.error:
        return str(model.error.get("message", ""))
    if state in ("silent", "interrupted"):
        return "it has not ended, and nothing was heard of it since the time below"
    return None


def _epochs(snapshot: ModelSnapshot) -> Element:
    """Return a collapsed table of when each epoch ended and how long it took, newest first."""
    took = snapshot.took
    rows: list[list[Element | str]] = [
        [str(each.epoch + 1), clock(each.timestamp), duration(took[each.epoch]), clock(each.arrived_at)]
        for each in reversed(snapshot.trained[-_EPOCHS:])
    ]
    if not rows:
        return element("section")
    shown = table(["Epoch", "Ended", "Took", "Arrived"], rows)
    return element("section", element("details", element("summary", "Epochs"), shown))


def _checkpoints(request: Request, checkpoints: list[Checkpoint]) -> Element:
    platform = platform_of(request)
    rows: list[list[Element | str]] = []
    for each in reversed(checkpoints):
        url = platform.signed_url(request, "GET", storage_endpoints.checkpoint_path(each))
        link = element("a", each.filename, href=url)
        rows.append(
            [
                link,
                f"{each.size:,} bytes",
                element("code", each.sha256),
                f"run {each.run_id}",
                clock(each.saved_at),
                clock(each.arrived_at),
            ]
        )
    return section(
        "Checkpoints", *([table(["File", "Size", "SHA-256", "Run", "Saved", "Arrived"], rows)] if rows else [])
    )


def _console(chunks: list[ConsoleChunk]) -> Element:
    text = "\n".join(str(each.data.get("content", "")) for each in chunks)
    return section("Console", *([element("pre", _TERMINAL_CODES.sub("", text))] if text else []))
