"""The pages for people: `/` lists the trainings, `/runs/OWNER/PROJECT/MODEL` shows one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.local_platform import storage
from uploader.local_platform.charts import charts
from uploader.local_platform.errors import NotFound
from uploader.local_platform.markup import document, element, table
from uploader.local_platform.platform import platform_of
from uploader.local_platform.records import Checkpoint, ConsoleChunk, Overview
from uploader.local_platform.training import page_path
from uploader.local_platform.views import Everything

_HEADERS = {
    # Nothing but our own style sheet: whatever a payload smuggled in could not run, load or send anything.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}
_STYLE = Path(__file__).parent / "static" / "style.css"
_MAX_RUNS = 500
_CONSOLE_CHUNKS = 100
_REFRESH = 10  # seconds
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def list_runs(request: Request) -> Response:
    """Show the newest trainings."""
    with platform_of(request).store.read() as rows:
        overviews = rows.overviews(_MAX_RUNS)
    headings = ["Training", "Status", "Epochs", "Checkpoints", "Started"]
    body = table(headings, [_overview_row(each) for each in overviews]) if overviews else element("p", "None yet.")
    return _page(document("Trainings", element("h1", "Trainings"), body))


def show_run(request: Request) -> Response:
    """Show one training: its state, curves, checkpoints and the end of its console."""
    with platform_of(request).store.read() as rows:
        model = rows.model_by_slug(*(request.path_params[part] for part in ("owner", "project", "model")))
        if model is None:
            raise NotFound("No such training here: it was never registered, or deleted")
        it = Everything.of(rows, model, newest_chunks=_CONSOLE_CHUNKS)
    title = f"{model.owner}/{model.project}/{model.slug}"
    sections = [_state(it), _curves(it), _checkpoints(request, it.checkpoints), _console(it.chunks), _details(it)]
    refresh = _REFRESH if model.status == "running" else None
    back = element("p", element("a", "All trainings", href="/"))
    return _page(document(title, back, element("h1", title), *sections, refresh=refresh))


def style(_: Request) -> Response:
    """Send the style sheet."""
    return Response(_STYLE.read_bytes(), media_type="text/css", headers=_HEADERS)


routes = [
    Route("/", list_runs, methods=["GET"]),
    Route(page_path("{owner}", "{project}", "{model}"), show_run, methods=["GET"]),
    Route("/style.css", style, methods=["GET"]),
]


def _page(content: bytes) -> Response:
    return Response(content, media_type="text/html", headers=_HEADERS)


def _overview_row(it: Overview) -> list[Element | str]:
    link = element("a", f"{it.owner}/{it.project}/{it.slug}", href=page_path(it.owner, it.project, it.slug))
    return [link, _status(it.status), _of(it.epochs_arrived, it.epochs), str(it.checkpoints), it.started_at]


def _state(it: Everything) -> Element:
    model = it.model
    facts: list[list[Element | str]] = [
        ["Status", _status(model.status)],
        ["Epochs", _of(len(it.epochs), model.epochs)],
        ["Started", model.started_at],
        ["Ended", model.completed_at or "—"],
        ["Last change", it.updated_at],
        ["Device", model.device or "—"],
    ]
    if model.error:
        facts.append(["Error", str(model.error.get("message", ""))])
    return element("section", table(["", ""], facts))


def _curves(it: Everything) -> Element:
    figures = charts(it.epochs) or [element("p", "No metrics yet.")]
    return element("section", element("h2", "Curves"), element("div", *figures, class_="charts"))


def _checkpoints(request: Request, checkpoints: list[Checkpoint]) -> Element:
    platform = platform_of(request)
    rows: list[list[Element | str]] = []
    for each in reversed(checkpoints):
        url = platform.signed_url(request, "GET", storage.checkpoint_path(each))
        link = element("a", each.filename, href=url)
        rows.append([link, f"{each.size:,} bytes", element("code", each.sha256), f"run {each.run_id}", each.saved_at])
    body = table(["File", "Size", "SHA-256", "Run", "Arrived"], rows) if rows else element("p", "None yet.")
    return element("section", element("h2", "Checkpoints"), body)


def _console(chunks: list[ConsoleChunk]) -> Element:
    text = "\n".join(str(each.data.get("content", "")) for each in chunks)
    body = element("pre", _TERMINAL_CODES.sub("", text)) if text else element("p", "Nothing yet.")
    return element("section", element("h2", "Console"), body)


def _details(it: Everything) -> Element:
    parts = {"Environment": it.model.environment, "Arguments": it.model.train_args, "Results": it.model.results}
    return element("section", *(_detail(title, value) for title, value in parts.items() if value))


def _detail(title: str, value: dict[str, Any]) -> Element:
    return element(
        "details", element("summary", title), element("pre", json.dumps(value, indent=2, ensure_ascii=False))
    )


def _status(status: str) -> Element:
    return element("span", status, class_=f"status {status}")


def _of(done: int, total: int | None) -> str:
    return f"{done} of {total}" if total else str(done)
